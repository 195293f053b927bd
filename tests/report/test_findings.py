"""Findings: the order of a scheme, and what is known is not measured again."""

from __future__ import annotations

from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import parse_heads
from bhpvas.report import ReportSettings, make_report
from bhpvas.report.findings import own_order
from bhpvas.scheme.scheme import Scheme
from tests.report.conftest import CALIBRATION, EVALUATION


def test_the_order_of_a_scheme_is_that_of_its_steps_and_their_reasons():
    scheme = Scheme.started({"id": "a", "revision": None, "fingerprint": "f"}, 2, 4)
    scheme = scheme.removing(parse_heads("L1H3,L0H1"))
    reasons = [["L1H0", "b"], ["L0H0", "a"], ["L0H7", "no such head"], "nonsense", ["L0H2", 3]]
    scheme = scheme.removing(parse_heads("L0H0,L1H0,L0H2"), "x", {"reasons": reasons})
    scheme = scheme.restoring(parse_heads("L1H3"))
    assert [str(head) for head in own_order(scheme)] == ["L0H1", "L1H0", "L0H0", "L0H2"]


def test_what_is_known_is_not_measured_again(classifier, scheme, both, monkeypatch):
    made, folder = scheme
    path = made.path()
    known = {path[0].id: both[0], path[-1].id: both[1]}
    calls = []
    monkeypatch.setattr(
        "bhpvas.report.findings.evaluate",
        lambda *given, **more: calls.append(given[2]) or evaluate(*given, **more),
    )
    found = make_report(
        classifier,
        made,
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        weights=folder,
        asked=ReportSettings(random=0),
        known=known,
    ).findings
    assert calls == [made.mask]  # before it was compensated
    assert found.after is both[1]
