"""The views Propose and Evidence without a browser: each number against the library's."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas import text
from bhpvas.charts.curves import method_title
from bhpvas.charts.step_texts import DONE
from bhpvas.criteria import CRITERIA, DEFAULT_WEIGHTS, removal_order, score
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.weights import weights_file
from bhpvas.progress import Cancelled
from bhpvas.recovery import RECOVERIES, RECOVERY_NAMES, recover
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import METHODS, Constraints, propose
from bhpvas.search.curves import areas, measure_curve
from bhpvas.ui.jobs import models
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.pages.schemes import evidence
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.pages.schemes.evidence import titled
from bhpvas.ui.pages.schemes.propose import method_names, taking
from bhpvas.ui.state.session import Curves, Search, Session, Variant
from bhpvas.ui.widgets.head_map import picking
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import facts, fine, listed, open_app, press, said, session

CALIBRATION, EVALUATION = many_sentences(40), many_sentences(30, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-proposals"), seed=5)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def started(folder: Path, tiny: Classifier) -> Session:
    data = Splits(CALIBRATION, EVALUATION, "by hand")
    return Session(model=str(folder), data=data, scheme=Scheme.of(tiny))


def opened(at: Session, view: str = "Propose") -> AppTest:
    """The Schemes page with one of its views."""
    return open_app(at, "schemes", view=view, **{"how-small": "heads"})


def asked(app: AppTest, method: str, heads: int) -> AppTest:
    """The proposal of a method for so many heads."""
    app.selectbox(key="method").set_value(method)
    kept = session(app).mask.kept_count
    fine(app.number_input(key=f"heads-of-{kept}").set_value(heads).run())
    return fine(app.button(key="propose").click().run())


def tables(app: AppTest) -> str:
    return "".join(html.value for html in app.html)


# --- proposals ------------------------------------------------------------------------------------


def test_a_proposal_shows_reasons_and_what_calibration_expects(
    started: Session, tiny: Classifier
) -> None:
    app = asked(opened(started), "importance", 3)
    expected = propose(tiny, CALIBRATION, "importance", heads=3)
    shown = tables(app)
    for head, reason in expected.removals:
        assert f'<td class="name">{head}</td><td>{reason}</td>' in shown
    fitted = recover(tiny, CALIBRATION, expected.mask)
    for effect in (
        evaluate(tiny, CALIBRATION),
        evaluate(tiny, CALIBRATION, expected.mask),
        evaluate(tiny.with_weights(fitted.weights), CALIBRATION, expected.mask),
    ):
        assert f"{text.percent(effect.accuracy)}%<small>" in shown
    assert "40 calibration sentences that it was learnt from" in said(app)
    # Nothing is removed yet.
    assert len(session(app).scheme.steps) == 1 and facts(app)["Heads"] == "8 of 8 kept"


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_can_be_taken_as_a_step(
    started: Session, tiny: Classifier, method: str
) -> None:
    search = Search(method, 2, seed=3)
    found = schemes_tasks.proposing(started, search).work(Job())
    assert found.heads == propose(tiny, CALIBRATION, method, heads=2, seed=3).heads
    pending = taking(started, search, found).pending
    assert pending is not None
    assert (set(pending.heads), pending.method, pending.seed) == (set(found.heads), method, 3)
    assert pending.settings == found.record()
    assert method_title(method) == METHODS[method].title


def test_any_criterion_is_a_method(started: Session) -> None:
    assert set(method_names()) == {*METHODS, *CRITERIA}
    found = schemes_tasks.proposing(started, Search("entropy", 2)).work(Job())
    assert found.heads == propose(load(started), CALIBRATION, "entropy", heads=2).heads
    assert method_title("entropy").endswith("one-shot")


def test_the_combined_priority_weighs_as_the_workbench_does(
    started: Session, tiny: Classifier
) -> None:
    app = opened(started)
    app.selectbox(key="method").set_value("combined")
    fine(app.number_input(key="heads-of-8").set_value(2).run())
    assert "Weights, as set on the Workbench: importance by 0.6, stability by 0.3, " in said(app)
    fine(app.button(key="propose").click().run())
    assert session(app).search.options["weights"] == DEFAULT_WEIGHTS
    assert app.button(key="propose").disabled
    app.session_state["weight-importance"], app.session_state["weight-similarity"] = 0.0, 0.0
    app.session_state["weight-stability"], app.session_state["stable"] = 0.5, "first to go"
    fine(app.run())
    assert "as set on the Workbench: stability by 0.5 (stable heads go first)." in said(app)
    fine(app.button(key="propose").click().run())
    assert "Weights: stability by 0.5 (stable heads go first). Numbers: the order" in said(app)
    stability = score(tiny, CALIBRATION, ["stability"]).values["stability"]
    expected = removal_order(stability, "remove")[:2]
    for head in expected:
        assert f'<td class="name">{head}</td><td>priority ' in tables(app)
    press(app, "Take as a step")
    step = session(app).scheme.step(session(app).scheme.current)
    assert set(step.heads) == set(expected)
    assert step.settings["weights"] == {"stability": 0.5}
    assert step.settings["directions"] == {"stability": "remove"}


def test_nothing_is_proposed_by_a_priority_of_nothing(started: Session) -> None:
    app = opened(started)
    for name in DEFAULT_WEIGHTS:
        app.session_state[f"weight-{name}"] = 0.0
    fine(app.selectbox(key="method").set_value("combined").run())
    assert "Every weight on the Workbench is 0" in said(app)
    assert app.button(key="propose").disabled


def test_curves_of_the_combined_priority_are_of_the_default_weights() -> None:
    assert titled("combined") == "Combined priority, default weights"
    assert titled("importance") == METHODS["importance"].title


def load(at: Session) -> Classifier:
    return models.classifier_named(at.model)


def test_heads_turned_over_by_hand_are_taken_as_they_are_then(
    started: Session, tiny: Classifier
) -> None:
    app = asked(opened(started), "importance", 3)
    first, second, third = propose(tiny, CALIBRATION, "importance", heads=3).heads
    added = next(head for head in tiny.full_mask() if head not in (first, second, third))
    turned = sorted([second, added])
    fine(listed(app, "turned").set_value([str(head) for head in turned]).run())
    assert f'<td class="name">{added}</td><td>added by hand</td>' in tables(app)
    assert "kept by hand; importance" in tables(app)
    press(app, "Take as a step")
    scheme = session(app).scheme
    step = scheme.step(scheme.current)
    assert set(step.heads) == {first, third, added}
    assert step.settings["by_hand"] == {"removed": [str(added)], "kept": [str(second)]}
    assert [head for head, _ in step.settings["reasons"]] == [str(first), str(third)]
    assert step.metrics["accuracy"] == evaluate(tiny, EVALUATION, scheme.mask).accuracy
    assert step.metrics["n"] == len(EVALUATION)
    assert session(app).search is None


def test_its_map_has_the_feed_forward_column_that_every_map_has(started: Session) -> None:
    for hidden in (False, True):
        app = asked(opened(replace(started, heads_only=hidden, widths=((0, 8),))), "importance", 3)
        (figure,) = [one for one in app.get("plotly_chart") if one.key == "proposal-map"]
        traces = {one.get("name"): one for one in json.loads(figure.proto.spec)["data"]}
        assert ("neurons kept" in traces) is not hidden
        if not hidden:  # frames are of what was turned over, here, and not of what is selected
            assert not traces["selected feed-forward"]["x"]


def test_a_click_on_the_map_turns_a_head_over_and_back(started: Session) -> None:
    gone = started.moved(started.scheme.removing(parse_heads("L0H0")))
    once = picking(gone, [HeadId(1, 2), HeadId(0, 0)], "propose")
    assert once.turned == {HeadId(1, 2)}  # a removed head has nothing to turn
    assert not picking(once, [HeadId(1, 2)], "propose").turned
    assert not once.selected


def test_protected_heads_stay_and_every_layer_keeps_its_least(
    started: Session, tiny: Classifier
) -> None:
    app = opened(started.choosing(parse_heads("L0H1,L1H2")))
    press(app, "Protect selected (2)")
    assert app.multiselect(key="protected").value == ["L0H1", "L1H2"]
    fine(app.number_input(key="least").set_value(2).run())
    app = asked(app, "importance", 4)
    constraints = Constraints(frozenset(parse_heads("L0H1,L1H2")), 2)
    expected = propose(tiny, CALIBRATION, "importance", heads=4, constraints=constraints)
    press(app, "Take as a step")
    assert session(app).mask == expected.mask
    assert expected.mask.kept_per_layer == (2, 2)


def test_a_page_opened_anew_asks_as_its_proposal_was_asked_for(started: Session) -> None:
    search = Search("fisher", 3, frozenset(parse_heads("L0H1")), 1, seed=4)
    app = opened(started.searching(search))
    assert app.selectbox(key="method").value == "fisher"
    assert app.number_input(key="heads-of-8").value == 3
    assert app.multiselect(key="protected").value == ["L0H1"]
    assert app.number_input(key="least").value == 1
    assert app.number_input(key="search-seed").value == 4
    assert app.button(key="propose").disabled  # it is there already
    fine(app.number_input(key="heads-of-8").set_value(2).run())
    fine(app.button(key="propose").click().run())
    assert session(app).search == replace(search, heads=2)


def test_evidence_opened_anew_asks_as_its_curves_were_asked_for(started: Session) -> None:
    curves = Curves(("fisher",), (None,), 3, 21, 2)
    app = opened(started.asking("curves", curves), "Evidence")
    assert app.multiselect(key="curve-methods").value == ["fisher"]
    assert app.number_input(key="curve-every").value == 3
    assert app.number_input(key="curve-random").value == 21
    assert app.button(key="measure-curves").disabled


def test_no_more_heads_can_be_asked_for_than_may_go(started: Session) -> None:
    app = opened(started)
    fine(app.number_input(key="least").set_value(3).run())
    assert app.number_input(key="heads-of-8").max == 2
    assert app.number_input(key="heads-of-8").value == 2


def test_a_share_and_a_largest_drop_decide_how_many(started: Session, tiny: Classifier) -> None:
    app = opened(started)
    app.selectbox(key="method").set_value("importance")
    fine(app.segmented_control(key="how-many").set_value("Share").run())
    fine(app.number_input(key="share").set_value(25).run())
    fine(app.button(key="propose").click().run())
    assert session(app).search == Search("importance", 2)
    fine(app.segmented_control(key="how-many").set_value("Accuracy drop").run())
    fine(app.number_input(key="max-drop").set_value(5.0).run())
    fine(app.button(key="propose").click().run())
    assert session(app).search == Search("importance", 8, max_drop=0.05)
    expected = propose(tiny, CALIBRATION, "importance", heads=8, max_drop=0.05)
    count = text.plural(len(expected.heads), "head")
    assert f"{METHODS['importance'].title}: {count} would go" in tables(app)


class Forbidden:
    """A data set that nobody may look into."""

    fingerprint = "forbidden"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the evaluation split's {name} was read")


def test_proposals_and_recoveries_never_read_the_evaluation_split(started: Session) -> None:
    data = replace(started.data, evaluation=cast(Dataset, Forbidden()))
    blind = replace(started, data=data)
    found = schemes_tasks.proposing(blind, Search("shares", 3, max_drop=0.2)).work(Job())
    mask = blind.mask.without(parse_heads("L0H1,L1H2"))
    effect = schemes_tasks.expected_effect(blind, mask, 0).work(Job())
    assert effect.masked.n == len(CALIBRATION) and found.sentences == len(CALIBRATION)
    removed = blind.moved(blind.scheme.removing(parse_heads("L0H1,L1H2")))
    assert schemes_tasks.recovering(removed, "compensate").work(Job()).weights


def test_a_recovery_whose_weights_are_lost_is_made_again(started: Session) -> None:
    removed = started.moved(started.scheme.removing(parse_heads("L0H1,L1H2")))
    for _ in range(2):
        app = opened(removed)
        fine(app.button(key="recover").click().run())
        step = session(app).scheme.steps[-1]
        assert step.what == "recover" and step.weights is not None
        file = weights_file(models.weights_folder(), step.weights)
        file.unlink()  # there again the second time
        models._changed.clear()
    fine(app.switch_page("pages/export.py").run())
    assert any(f"{file.name} cannot be read" in one.value for one in app.info)


def test_the_next_proposal_looks_at_the_recovered_model(started: Session, tiny: Classifier) -> None:
    scheme = started.scheme.removing(parse_heads("L0H1,L1H2"))
    fitted = recover(tiny, CALIBRATION, scheme.mask)
    now = started.moved(scheme.recovered(models.keep_weights(fitted.weights), "compensate"))
    changed = tiny.with_weights(fitted.weights)
    found = schemes_tasks.proposing(now, Search("importance", 3)).work(Job())
    expected = propose(changed, CALIBRATION, "importance", heads=3, mask=scheme.mask)
    assert found.removals == expected.removals
    plain = propose(tiny, CALIBRATION, "importance", heads=3, mask=scheme.mask)
    assert found.removals != plain.removals
    # What is refitted afterwards is searched with the model's own weights.
    refitted = schemes_tasks.proposing(now, Search("reconstruction", 3)).work(Job())
    own = propose(tiny, CALIBRATION, "reconstruction", heads=3, mask=scheme.mask)
    assert refitted.removals == own.removals


# --- recovery -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", RECOVERIES)
def test_a_recovery_is_a_step_that_can_be_undone(
    started: Session, tiny: Classifier, method: str
) -> None:
    app = opened(started.moved(started.scheme.removing(parse_heads("L0H1,L1H2"))))
    fine(app.selectbox(key="recovery").set_value(method).run())
    fine(app.button(key="recover").click().run())
    scheme = session(app).scheme
    step = scheme.step(scheme.current)
    fitted = recover(tiny, CALIBRATION, scheme.mask, method)
    assert (step.what, step.method, step.weights) == ("recover", method, fitted.weights.fingerprint)
    changed = evaluate(tiny.with_weights(fitted.weights), EVALUATION, scheme.mask)
    assert step.metrics["accuracy"] == changed.accuracy
    assert step.settings["calibration"]["sentences"] == len(CALIBRATION)
    assert step.settings["seconds"] > 0
    assert step.settings["held_out"] == fitted.held_out < len(CALIBRATION) / 3
    keys = "".join(html.value for html in app.html)
    assert f"on {fitted.held_out} held out of {len(CALIBRATION)} sentences of" in keys
    assert [one["layer"] for one in step.settings["layers"]] == [0, 1]
    assert "on 30 evaluation sentences" in said(app)
    press(app, "Undo")
    assert session(app).now == Variant(scheme.mask)
    assert "This scheme is not recovered yet." in said(app)


def test_weights_fitted_for_other_heads_say_so(started: Session, tiny: Classifier) -> None:
    scheme = started.scheme.removing(parse_heads("L0H1,L1H2"))
    fitted = recover(tiny, CALIBRATION, scheme.mask)
    weights = models.keep_weights(fitted.weights)
    scheme = scheme.recovered(weights, "compensate", fitted.record())
    app = opened(started.moved(scheme.removing(parse_heads("L1H0"))))
    assert "Fitted for what was kept there (6 heads); now it is 5 heads." in said(app)


def test_without_a_removal_there_is_nothing_to_recover(started: Session) -> None:
    app = opened(started)
    assert "Nothing is removed, so" in said(app)
    assert "recover" not in [one.key for one in app.button]


# --- evidence -------------------------------------------------------------------------------------

CURVES = Curves(("importance", "fisher"), (None, "compensate"), every=3, random=20, seed=1)


def test_curves_are_those_of_the_library(started: Session, tiny: Classifier) -> None:
    app = opened(started, "Evidence")
    app.multiselect(key="curve-methods").set_value(["fisher", "importance"])
    app.number_input(key="curve-every").set_value(3)
    app.number_input(key="curve-seed").set_value(1)
    fine(app.run())
    fine(app.button(key="measure-curves").click().run())
    assert session(app).curves == CURVES
    counts = (0, 3, 6, 8)
    expected = [
        measure_curve(tiny, CALIBRATION, EVALUATION, method, counts, recovery=recovery, seed=seed)
        for method, recovery, seed in [
            ("importance", None, 1),
            ("fisher", None, 1),
            ("importance", "compensate", 1),
            ("fisher", "compensate", 1),
            *[("random", None, 1 + draw) for draw in range(20)],
        ]
    ]
    chosen, random = schemes_tasks.known_curves(session(app), CURVES)
    assert [*chosen, *random] == expected
    shown = tables(app)
    for row in areas(expected).itertuples():
        assert text.percent(row.area) in shown
    assert "20 random orders, not recovered: median, band 5 to 95%" in shown
    assert f"measured on {len(EVALUATION)} sentences" in said(app)
    written = pd.read_csv(io.StringIO(evidence.csv(session(app), [*chosen, *random])))
    assert len(written) == 24 * len(counts)
    assert set(written["evaluation"]) == {EVALUATION.name}
    one = written[(written["method"] == "fisher") & (written["recovery"] == "compensate")]
    np.testing.assert_allclose(one["accuracy"], expected[3].headline)
    best = max(expected[:2], key=lambda curve: curve.area)
    assert f"**{CRITERIA[best.method].title}** ({text.percent(best.area)}) as it is" in said(app)


def test_what_was_measured_before_it_was_stopped_is_shown(started: Session) -> None:
    curves = replace(CURVES, seed=1000)  # random orders that no other test measures
    half = started.asking("curves", curves)
    task = schemes_tasks.measuring(half, curves)
    assert task.live
    chosen, random = schemes_tasks.known_curves(half, curves)
    assert (chosen, random) == ([], [])
    job = Job()
    calls = 0

    def stopping(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        job.stopped = done * 4 >= total  # a quarter of the way
        Job.__call__(job, done, total)

    with pytest.raises(Cancelled):
        task.work(cast(Job, stopping))
    chosen, random = schemes_tasks.known_curves(half, curves)
    assert len(chosen) == 4 and 0 < len(random) < 20
    app = opened(half.cancelling(task.key), "Evidence")
    assert f"{len(random)} random orders" in tables(app)
    press(app, "Continue")
    assert "20 random orders" in tables(app)


def test_random_orders_can_be_recovered_as_methods_are(started: Session, tiny: Classifier) -> None:
    curves = replace(CURVES, methods=("random", "importance"), recoveries=(None, "compensate"))
    asked = started.asking("curves", curves)
    assert schemes_tasks.measuring(asked, curves).work(Job())
    chosen, random = schemes_tasks.known_curves(asked, curves)
    assert [(one.method, one.recovery) for one in chosen] == [
        ("importance", None),
        ("importance", "compensate"),
    ]
    assert random == [
        measure_curve(
            tiny,
            CALIBRATION,
            EVALUATION,
            "random",
            (0, 3, 6, 8),
            recovery=recovery,
            seed=1 + draw,
        )
        for recovery in (None, "compensate")
        for draw in range(20)
    ]
    app = opened(asked, "Evidence")
    fine(app)
    table = areas([*chosen, *random])
    assert sorted(table["seeds"]) == [1, 1, 20, 20]
    for row in table.itertuples():
        assert text.percent(row.area) in tables(app)
    assert "20 random orders, not recovered: median" in tables(app)
    points = evidence.lines(chosen, random)
    line = points[points["method"] == "random"]
    assert set(line["recovery"]) == {"compensate"}
    assert set(line["title"]) == {"Random orders, median"}
    middle = np.median([one.headline for one in random[20:]], axis=0)
    np.testing.assert_allclose(line["headline"], middle)
    assert len(evidence.lines([], [])) == 0


def test_every_criterion_can_be_asked_for_at_once(started: Session) -> None:
    app = opened(started, "Evidence")
    press(app, "Every criterion")
    assert app.multiselect(key="curve-methods").value == list(CRITERIA)


def test_another_step_keeps_the_evidence_and_drops_the_proposal(started: Session) -> None:
    busy = (
        started.searching(Search("random", 2)).turning(parse_heads("L0H1")).asking("curves", CURVES)
    )
    moved = busy.moved(busy.scheme.removing(parse_heads("L1H1")))
    assert moved.curves == CURVES
    assert (moved.search, moved.turned, moved.recovering) == (None, frozenset(), None)


def test_every_recovery_has_its_word():
    """What the sidebar, the timeline and the tree say that a step did to the weights."""
    assert {*DONE} == {*RECOVERY_NAMES}
