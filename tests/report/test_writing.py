"""Writing: any scheme makes a report, what a person wrote stays text, nothing leads outside."""

from __future__ import annotations

import pytest

from bhpvas import write_report
from bhpvas.errors import BhpvasError
from bhpvas.export import export_model
from bhpvas.heads import HeadId, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.progress import Cancelled
from bhpvas.recovery import recover
from bhpvas.report import ReportError, ReportSettings, make_report
from bhpvas.scheme.scheme import Scheme
from tests.report.conftest import CALIBRATION, EVALUATION, EVIL, Reading


def test_what_a_person_wrote_stays_text(page_of, report):
    html = report[1].read_text(encoding="utf-8")
    assert "img" not in page_of.elements and "<img src=x" not in html
    # One script a figure, and the two that draw.
    assert page_of.elements.count("script") == page_of.elements.count("figure") + 2
    assert len(page_of.specs) == page_of.elements.count("figure")
    assert page_of.said.count(EVIL) >= 3  # the scheme's name, a note, and a tag or a sentence
    assert EVIL in page_of.table("slices-by-tag")["slice"].tolist()
    ticks = [shown for one in page_of.specs for shown in one["layout"]["yaxis"].get("ticktext", ())]
    assert any(shown.startswith("&lt;/script&gt;") for shown in ticks)
    assert not any("<img" in shown for shown in ticks)


def test_nothing_leads_outside(page_of, report):
    for address in page_of.addresses:
        assert address.startswith(("data:text/csv", "data:application/json", "#")), address[:60]
    html = report[1].read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert html.count("plotly.js v") == 1
    assert not {"link", "iframe", "object", "embed"} & set(page_of.elements)


@pytest.mark.parametrize(
    "settings",
    [
        {"reasons": 5, "layers": 3, "course": {}},
        {"reasons": [[["L0H1"], "why"]], "layers": [{}], "course": [{"step": "x"}]},
        {"calibration": {"name": EVIL}, "seconds": None, "best": 4},
    ],
)
def test_a_strange_scheme_file_makes_a_report_all_the_same(classifier, tmp_path, settings):
    fitted = recover(classifier, CALIBRATION, classifier.full_mask().without([HeadId(0, 1)]))
    fitted.weights.save(tmp_path)
    scheme = Scheme.of(classifier).removing([HeadId(0, 1)], "magic", settings)
    scheme = scheme.recovered(fitted.weights.fingerprint, "sorcery", settings)
    asked = ReportSettings(random=0)
    made = make_report(
        classifier,
        scheme,
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        weights=tmp_path,
        asked=asked,
    )
    assert "the rest is sorcery" in Reading.of(made.html).said


def test_a_scheme_that_removes_nothing(classifier):
    made = make_report(
        classifier,
        Scheme.of(classifier),
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        asked=ReportSettings(random=1, tokens=6),
    )
    said = Reading.of(made.html).said
    assert "All 8 attention heads are kept." in said and "No answer changed." in said
    # A model is not compared with itself.
    assert "this is the unpruned model." in said
    assert "0.0 points" not in said
    assert "Milliseconds a batch" in said and "8 sentences of 6 tokens at once" in said


def test_a_model_that_has_fewer_heads_is_pruned_further(classifier, tmp_path):
    gone = parse_heads("L0H1,L1H2")
    smaller = tmp_path / "smaller"
    export_model(classifier, Scheme.of(classifier).removing(gone), smaller, dataset=EVALUATION)
    model = load_classifier(smaller)
    scheme = Scheme.of(model).removing([HeadId(0, 0)])
    found = make_report(
        model,
        scheme,
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        asked=ReportSettings(random=2),
    )
    seen = Reading.of(found.html)
    assert "1 of 6 attention heads are removed." in seen.said
    assert seen.table("orders-at-this-size")["accuracy"][0] == found.findings.after.accuracy
    curves = seen.table("curves")
    assert curves["removed"].max() == 6 and not curves["kept"].min()
    assert "nan" not in seen.said.lower()


def test_progress_rises_to_its_end_and_stops_the_work(classifier, scheme, tmp_path):
    seen: list[tuple[int, int]] = []
    given = {
        "calibration": CALIBRATION,
        "evaluation": EVALUATION,
        "weights": scheme[1],
        "random": 1,
    }
    path = tmp_path / "report.html"
    write_report(classifier, scheme[0], path, progress=lambda *now: seen.append(now), **given)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len({total for _, total in seen}) == 1 and seen[-1][0] == seen[-1][1]
    before = path.read_bytes()

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_report(classifier, scheme[0], path, progress=stop, **given)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_it_refuses_in_a_sentence(classifier, scheme, tmp_path):
    made, folder = scheme
    data = {"calibration": CALIBRATION, "evaluation": EVALUATION, "weights": folder}
    with pytest.raises(ReportError, match=r"cannot be written to .*choose a file in a folder"):
        write_report(classifier, made, tmp_path / "no" / "report.html", **data)
    with pytest.raises(BhpvasError, match="-1 random orders cannot be drawn"):
        write_report(classifier, made, tmp_path / "report.html", random=-1, **data)
    with pytest.raises(BhpvasError, match="cannot be timed"):
        write_report(classifier, made, tmp_path / "report.html", random=0, tokens=99, **data)
    assert not [*tmp_path.iterdir()]
