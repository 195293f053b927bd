"""The Learn page without a browser: every step is noticed when it is done, and not before."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.criteria import CRITERIA, Scores, removal_order, score
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.roles import ROLES
from bhpvas.interpret.sentence_map import FEWEST_FOR_UMAP
from bhpvas.model.classifier import Classifier
from bhpvas.recovery import RECOVERIES
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import METHODS
from bhpvas.search.registry import TO_TARGET
from bhpvas.text import MINUS, number, plural
from bhpvas.ui.pages.learn import checks, glossary
from bhpvas.ui.pages.learn.examples import worked
from bhpvas.ui.pages.learn.lesson import LESSONS
from bhpvas.ui.pages.learn.tours import (
    SAMPLES_TOUR,
    SCHEMES_TOUR,
    TAG,
    TOURS,
    TourProgress,
    outstanding,
)
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.state.lessons import LessonProgress
from bhpvas.ui.state.session import Session
from tests.tiny import many_sentences
from tests.ui.driver import listed, open_app, said, session
from tests.ui.pages.test_sentence import fine, press

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def data() -> Splits:
    """Many sentences, some of them tagged as the first tour wants it."""
    whole = many_sentences()
    tags = tuple(TAG if row % 3 == 0 else "plain" for row in range(len(whole)))
    return Splits(whole, replace(whole, tags=tags), "by hand")


@pytest.fixture
def app(classifier: Classifier, data: Splits) -> AppTest:
    return open_app(
        Session(model=classifier.source, data=data, scheme=Scheme.of(classifier)), "learn"
    )


def next_step(app: AppTest) -> None:
    """The open step is done: the page says so, and leads on."""
    assert "**Done.**" in said(app)
    press(app, "Next")
    assert "**Done.**" not in said(app), "a step is not done before anything was done"


# --- the lesson -----------------------------------------------------------------------------------


def test_from_one_head_to_half_of_them(app: AppTest, classifier: Classifier, data: Splits) -> None:
    assert "**Do this.**" in said(app) and "0 of 11 done" in said(app)
    fine(app.selectbox(key="sentence-row").set_value(3).run())
    next_step(app)

    marks = checks.at_rest(score(classifier, data.calibration))
    most, least = (
        np.unravel_index(int(at), marks.shape) for at in (marks.argmax(), marks.argmin())
    )
    fine(listed(app, "heads").set_value([str(HeadId(*map(int, most)))]).run())
    assert "**Done.**" not in said(app)
    both = [str(HeadId(*map(int, one))) for one in (most, least)]
    fine(listed(app, "heads").set_value(both).run())
    next_step(app)

    strongest = checks.strongest(session(app))
    assert strongest is not None and f"**{strongest}**" in said(app)
    fine(listed(app, "switched").set_value([str(strongest)]).run())
    assert session(app).switched == {strongest}
    next_step(app)

    press(app, "Clear")
    press(app, "Select lowest 1")
    importance = score(classifier, data.calibration, ["importance"]).values["importance"]
    assert session(app).selected == set(removal_order(importance)[:1])
    next_step(app)
    press(app, "What would it cost?")
    next_step(app)
    press(app, "Remove 1 head")
    next_step(app)

    (slices,) = [one for one in app.selectbox if one.label == "Select a slice"]
    fine(slices.set_value(slices.options[0]).run())
    assert session(app).sentences
    next_step(app)

    press(app, "Propose 3 heads to remove")
    press(app, "Take as a step")
    assert session(app).mask.kept_count == 4
    next_step(app)
    press(app, "Compensation of 4 heads")
    next_step(app)
    neurons, heads = checks.shares_of_flops(session(app))
    assert f"unpruned, {100 * neurons:.0f}% on these sentences" in said(app)
    assert f"all heads together {100 * heads:.0f}%" in said(app)
    fine(listed(app, "parts").set_value(["L1F"]).run())
    press(app, "Remove 32 neurons")
    next_step(app)
    fine(app.text_input(key="scheme-name").set_value("half").run())
    assert "**Done.**" in said(app) and "11 of 11 done" in said(app)


def test_the_map_of_habits_shows_what_its_task_asks_for(
    classifier: Classifier, data: Splits
) -> None:
    mask = HeadMask.parse("L1H2", 2, 4)
    found = score(classifier, data.calibration, mask=mask)
    shares, (idle, least) = checks.at_rest(found), checks.resting(found)
    assert found.profile is not None
    at = (0, 1)
    assert shares[at] == pytest.approx(found.profile[(*at, 0)] + found.profile[(*at, 1)])
    assert np.isnan(shares[1, 2]) and np.isfinite(shares).sum() == 7
    brightest = np.unravel_index(int(np.nanargmax(shares)), shares.shape)
    darkest = np.unravel_index(int(np.nanargmin(shares)), shares.shape)
    assert HeadId(*map(int, brightest)) in idle and HeadId(*map(int, darkest)) not in idle
    assert {head for head in mask if shares[head.layer, head.head] > least} == idle


def test_a_person_can_jump_and_what_was_done_elsewhere_is_noticed(app: AppTest) -> None:
    fine(app.switch_page("pages/workbench.py").run())
    press(app, "Select lowest 1")
    press(app, "Remove 1 head")
    fine(app.switch_page("pages/learn.py").run())
    assert "1 of 11 done" in said(app)
    (step,) = [at for at, lesson in enumerate(LESSONS) if lesson.title == "Remove and measure"]
    fine(app.pills(key="lesson-step").set_value(step).run())
    assert "**Done.**" in said(app)
    press(app, "Undo")
    assert "1 of 11 done" in said(app), "what was done stays done"


def test_progress_is_a_value() -> None:
    begun = LessonProgress()
    assert begun.noticing([2]).opening(3) == LessonProgress(3, frozenset({2}))
    assert begun.noticing([2]).noticing([]).done == {2}
    assert begun == LessonProgress()


# --- the tours ------------------------------------------------------------------------------------


def onward(app: AppTest, label: str, page: str) -> None:
    """Press what leads to another page; the testing app itself stays where it was."""
    press(app, label)
    fine(app.switch_page(f"pages/{page}.py").run())


def test_a_tour_leads_over_the_real_pages_and_notices(app: AppTest) -> None:
    fine(app.segmented_control(key="learn-view").set_value("Tours").run())
    fine(app.button(key="start-samples").click().run())
    assert "Which heads can go?" in "".join(one.value for one in app.html)
    fine(app.switch_page("pages/workbench.py").run())
    assert "**1 of 7**" in said(app)
    assert "**Done.**" not in said(app)
    fine(app.selectbox(key="colour").set_value("importance").run())
    fine(app.number_input(key="lowest").set_value(4).run())
    press(app, "Select lowest 4")
    assert ":material/check_circle: **Done.** **1 of 7**" in said(app)
    onward(app, "Next", "workbench")
    assert "**2 of 7**" in said(app) and "**Done.**" not in said(app)
    press(app, "Remove 4 heads")
    onward(app, "Next", "samples")
    fine(app.selectbox(key="slices-by").set_value("tag").run())
    fine(app.selectbox(key="slice-tag").set_value(TAG).run())
    onward(app, "Next", "samples")
    assert "**Done.** **4 of 7**" in said(app)
    onward(app, "Next", "roles")
    (page,) = [one for one in said(app).splitlines() if "**5 of 7**" in one]
    head = page.split("Select **")[1].split("**")[0]
    app.session_state["bhpvas"] = session(app).choosing([HeadId.parse(head)])
    fine(app.run())
    onward(app, "Next", "sentence")
    row = min(row for row, tag in enumerate(session(app).data.evaluation.tags or ()) if tag == TAG)
    app.session_state["bhpvas"] = session(app).reading(session(app).sentence_at(row + 3))
    fine(app.run())
    onward(app, "Next", "sentence")
    fine(listed(app, "switched").set_value([head]).run())
    assert "**Done.** **7 of 7**" in said(app)
    onward(app, "Finish", "learn")
    assert SAMPLES_TOUR.moral in said(app)
    assert "**7 of 7**" not in said(app)


def stop(app: AppTest) -> str:
    """What the bar of the tour says."""
    (bar,) = [one for one in said(app).splitlines() if re.search(r"\*\*\d of \d\*\*", one)]
    return bar


def test_the_second_tour_leads_from_all_heads_to_a_scheme(app: AppTest) -> None:
    fine(app.segmented_control(key="learn-view").set_value("Tours").run())
    fine(app.button(key="start-schemes").click().run())
    fine(app.switch_page("pages/schemes.py").run())
    assert "**1 of 8**" in stop(app) and "**Done.**" not in stop(app)
    fine(app.segmented_control(key="how-small").set_value("heads").run())
    fine(app.segmented_control(key="how-many").set_value("Accuracy drop").run())
    fine(app.number_input(key="max-drop").set_value(50.0).run())
    press(app, "Propose")
    onward(app, "Next", "schemes")

    assert "**2 of 8**" in stop(app) and "**Done.**" not in stop(app)
    assert len(session(app).turned) == 0
    fine(listed(app, "turned").set_value(["L0H0"]).run())
    assert "**Done.**" not in stop(app), "two heads are to be kept"
    fine(listed(app, "turned").set_value(["L0H0", "L1H3"]).run())
    onward(app, "Next", "schemes")

    assert "**3 of 8**" in stop(app) and "**Done.**" not in stop(app)
    press(app, "Take as a step")
    gone = session(app).mask.masked
    assert {HeadId(0, 0), HeadId(1, 3)} & gone == set() and gone
    onward(app, "Next", "schemes")

    assert "**4 of 8**" in stop(app) and "**Done.**" not in stop(app)
    press(app, f"Compensation of {plural(8 - len(gone), 'head')}")
    onward(app, "Next", "schemes")

    assert "**5 of 8**" in stop(app) and "**Done.**" not in stop(app)
    press(app, "Undo")
    assert "**Done.**" not in stop(app), "the recovery is undone, the heads are still gone"
    press(app, "Undo")
    onward(app, "Next", "schemes")

    assert f"put {len(gone)}, press" in stop(app) and "**Done.**" not in stop(app)
    fine(app.selectbox(key="method").set_value("importance").run())
    fine(app.segmented_control(key="how-many").set_value("Heads").run())
    fine(app.number_input(key="heads-of-8").set_value(len(gone)).run())
    press(app, "Propose")
    press(app, "Take as a step")
    assert len(session(app).scheme.branches()) == 2
    onward(app, "Next", "schemes")

    assert "**7 of 8**" in stop(app) and "**Done.**" not in stop(app)
    fine(app.segmented_control(key="view").set_value("Compare").run())
    onward(app, "Next", "schemes")

    assert "**8 of 8**" in stop(app) and "**Done.**" not in stop(app)
    assert app.segmented_control(key="view").value == "Evidence"
    fine(app.number_input(key="curve-every").set_value(4).run())
    press(app, "Measure")
    assert "**Done.**" in stop(app)
    onward(app, "Finish", "learn")
    assert SCHEMES_TOUR.moral in said(app)
    assert app.session_state["bhpvas tour"] is None


def test_a_tour_can_be_left_and_taken_up_again(app: AppTest) -> None:
    fine(app.segmented_control(key="learn-view").set_value("Tours").run())
    fine(app.button(key="start-schemes").click().run())
    fine(app.switch_page("pages/schemes.py").run())
    onward(app, "Skip", "schemes")
    assert "**2 of 8**" in stop(app)
    onward(app, "Leave", "learn")
    assert "**2 of 8**" not in said(app)
    fine(app.button(key="go-on-schemes").click().run())
    fine(app.switch_page("pages/schemes.py").run())
    assert "**2 of 8**" in stop(app)


def test_a_tour_begins_with_every_head_and_counts_only_what_is_done_on_it(app: AppTest) -> None:
    fine(app.switch_page("pages/schemes.py").run())
    fine(app.segmented_control(key="view").set_value("Propose").run())
    fine(app.segmented_control(key="how-small").set_value("heads").run())
    press(app, "Propose")
    press(app, "Take as a step")
    assert session(app).mask.masked
    fine(app.switch_page("pages/learn.py").run())
    fine(app.segmented_control(key="learn-view").set_value("Tours").run())
    fine(app.button(key="start-schemes").click().run())
    fine(app.switch_page("pages/schemes.py").run())
    assert not session(app).mask.masked and len(session(app).scheme.steps) == 2
    assert "**1 of 8**" in stop(app) and "**Done.**" not in stop(app)


def test_a_tour_that_does_not_fit_the_data_says_so(app: AppTest, dataset: Dataset) -> None:
    app.session_state["bhpvas"] = replace(
        session(app), data=Splits(dataset, dataset, "by hand"), opened=None
    )
    fine(app.segmented_control(key="learn-view").set_value("Tours").run())
    assert app.button(key="start-samples").disabled
    assert SAMPLES_TOUR.lacking in said(app)


@pytest.mark.parametrize("at", range(len(SAMPLES_TOUR.stops)))
def test_other_data_on_the_way_leave_a_tour_that_can_be_left(
    app: AppTest, dataset: Dataset, at: int
) -> None:
    app.session_state["bhpvas tour"] = TourProgress(
        "samples", LessonProgress(at, frozenset(range(at)))
    )
    app.session_state["bhpvas"] = replace(
        session(app), data=Splits(dataset, dataset, "by hand"), opened=None
    )
    fine(app.run())
    assert SAMPLES_TOUR.lacking in said(app)
    assert app.session_state["bhpvas tour"].progress.done == frozenset(range(at))
    onward(app, "Leave", "learn")
    assert app.session_state["bhpvas tour"].left


@pytest.mark.parametrize("every", [0, 1])
def test_no_head_stands_out_where_none_or_every_sentence_is_a_double_negation(
    app: AppTest, data: Splits, every: int
) -> None:
    few = data.evaluation.take(range(FEWEST_FOR_UMAP - 1))  # whose map is there at once
    tags = (("plain", TAG)[every],) * len(few)
    same = Splits(data.calibration, replace(few, tags=tags), "by hand")
    some = replace(session(app), data=same).choosing_sentences({0, 3})
    app.session_state["bhpvas"] = some
    app.session_state["panel-of-samples"] = "Heads that matter here"
    app.session_state["bhpvas tour"] = TourProgress("samples", LessonProgress(3))
    fine(app.switch_page("pages/samples.py").run())
    assert samples_tasks.comparison(some, some.start, ask=False) is not None
    assert outstanding(session(app)) is None


@pytest.mark.parametrize("name", TOURS)
def test_every_stop_is_on_a_page_that_there_is(name: str) -> None:
    for stop in TOURS[name].stops:
        assert (ROOT / "pages" / f"{stop.page.lower()}.py").is_file()


# --- criteria and glossary ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scores(classifier: Classifier) -> Scores:
    return score(classifier, many_sentences().take(range(4)), tuple(CRITERIA))


@pytest.mark.parametrize("name", CRITERIA)
def test_a_worked_example_comes_to_the_value_of_the_library(scores: Scores, name: str) -> None:
    for head in scores.mask:
        found = worked(scores, name, head)
        value = scores.values[name][head.layer, head.head]
        assert found.value == pytest.approx(value, rel=1e-5, abs=1e-9)
        assert found.equation.endswith(f"={number(found.value).replace(MINUS, '-')}") or (
            r"\cdot 10" in found.equation
        )
        assert len(found.rows) == 4


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_is_explained(app: AppTest, name: str) -> None:
    fine(app.segmented_control(key="learn-view").set_value("Criteria").run())
    fine(app.selectbox(key="learn-criterion").set_value(name).run())
    assert CRITERIA[name].misleads in said(app) and CRITERIA[name].source in said(app)
    formula, example = (one.value for one in app.latex)
    assert CRITERIA[name].formula in formula and "=" in example


def test_the_glossary_has_every_registered_thing_and_can_be_searched() -> None:
    words = glossary.entries()
    assert {one.title for one in CRITERIA.values()} <= set(words)
    for kind, registry in (
        ("Role", ROLES),
        ("Method", METHODS),
        ("Method to a target", TO_TARGET),
        ("Recovery", RECOVERIES),
    ):
        assert {f"{kind}: {one.title}" for one in registry.values()} <= set(words)
    assert next(iter(glossary.matching("mcnemar"))) == "McNemar"
    assert "Gate" in glossary.matching("gradient") and not glossary.matching("xylophone")
    assert all(said.strip() for said, _ in words.values())
