"""Learnt sentences in the app: every step keeps them, and every figure says how many it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas import text
from bhpvas.data.dataset import Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import export_model
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.encoding import Encoded
from bhpvas.recovery.finetuning import TuningSettings
from bhpvas.scheme.bundle import SchemeFile, read_scheme_file, read_weights
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.link import Link
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import EXPORTED
from bhpvas.search import propose
from bhpvas.ui.jobs import learnt, models
from bhpvas.ui.persistence import links
from bhpvas.ui.persistence.records import recorded, restored
from bhpvas.ui.state.lessons import LESSON, LessonProgress
from bhpvas.ui.state.session import Search, Session
from bhpvas.ui.widgets.learnt import OPEN
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import fine, listed, open_app, press, said, select, session

# Few enough for a map of sentences that is drawn at once.
CALIBRATION, EVALUATION = many_sentences(40), many_sentences(59, seed=1)
#: Of the evaluation sentences, so many are calibration sentences in other capitals.
SHARED = 25
OVERLAPPING = replace(
    EVALUATION,
    texts=tuple(one.upper() for one in CALIBRATION.texts[:SHARED]) + EVALUATION.texts[SHARED:],
)
COUNTED = f"{SHARED} of the {len(EVALUATION)} sentences were learnt from"
TUNING = TuningSettings(epochs=0.5, evaluations=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-learnt"), seed=5)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def started(folder: Path, tiny: Classifier) -> Session:
    data = Splits(CALIBRATION, EVALUATION, "by hand")
    return Session(model=str(folder), data=data, scheme=Scheme.of(tiny))


def test_every_step_by_a_method_keeps_what_it_learnt_from_wherever_it_is_kept(
    started: Session, tiny: Classifier
) -> None:
    app = open_app(started.searching(Search("importance", 3)), "schemes", view="Propose")
    fine(listed(app, "turned").set_value(["L0H1"]).run())  # changed by hand, learnt all the same
    press(app, "Take as a step")
    fine(app.button(key="recover").click().run())
    app = open_app(session(app).asking("tuning", TUNING), "schemes", view="Fine-tune")
    now = session(app)
    seen = LearntSentences.of(tiny.encode(CALIBRATION).fingerprints)
    expected = [("", None), ("importance", seen), ("compensate", seen), ("finetune", seen)]
    weights = read_weights(now.scheme, models.weights_folder())
    file = SchemeFile(now.scheme, weights).to_bytes()
    for scheme in (
        now.scheme,
        now.scheme.undone().redone(),
        now.deleting(2).putting_back().scheme,
        restored(recorded(now), now.data).scheme,
        restored(recorded(now.deleting(2)), now.data).putting_back().scheme,
        read_scheme_file(file).scheme,
    ):
        assert [(step.method, step.learnt_from) for step in scheme.steps] == expected


def test_what_is_drawn_learns_from_nothing(started: Session) -> None:
    app = open_app(started.searching(Search("random", 3)), "schemes", view="Propose")
    press(app, "Take as a step")
    assert session(app).scheme.steps[-1].learnt_from == LearntSentences.of(())


def test_what_is_chosen_by_hand_is_chosen_on_maps_of_the_calibration_split(
    started: Session, tiny: Classifier
) -> None:
    app = select(
        open_app(replace(started, data=replace(started.data, evaluation=OVERLAPPING))), "L0H1"
    )
    press(app, "Remove 1 head")
    (step,) = session(app).scheme.steps[1:]
    assert step.learnt_from == LearntSentences.of(tiny.encode(CALIBRATION).fingerprints)
    assert f"{COUNTED} (choice of heads by hand)" in warned(app)


def test_an_older_scheme_and_older_work_open(started: Session) -> None:
    scheme = started.scheme.removing(parse_heads("L0H1"), "importance")
    asked = started.moved(scheme).choosing(parse_heads("L1H1")).requesting("remove")
    record = recorded(asked)
    del record["wish"]["learnt_from"], record["wish"]["then"]
    app = open_app(restored(record, started.data))
    first, second = session(app).scheme.steps[1:]
    assert first.origin_unknown and not second.origin_unknown


# --- what is said beside a figure -----------------------------------------------------------------


def tables(app: AppTest) -> str:
    return "".join(html.value for html in app.html)


def warned(app: AppTest) -> str:
    return "\n".join(one.value for one in app.warning)


def overlapping(started: Session, tiny: Classifier) -> Session:
    """A session whose current step learnt from sentences that measure it, too."""
    data = replace(started.data, evaluation=OVERLAPPING)
    found = propose(tiny, CALIBRATION, "importance", heads=3)
    return replace(started, data=data, scheme=found.on(started.scheme))


def on_the_others(at: Session, tiny: Classifier) -> str:
    """The accuracy on the evaluation sentences that were not learnt from, without the app."""
    rest = at.data.evaluation.take(range(SHARED, len(EVALUATION)))
    found = evaluate(tiny, rest, at.mask)
    return f"{text.percent(found.accuracy)}% {text.interval(*found.accuracy_interval)}"


def test_no_sentence_is_shared_but_those_meant_to_be(tiny: Classifier) -> None:
    learnt = set(tiny.encode(CALIBRATION).fingerprints)
    assert len(learnt) == len(CALIBRATION)
    for data, shared in ((EVALUATION, 0), (OVERLAPPING, SHARED)):
        assert sum(one in learnt for one in tiny.encode(data).fingerprints) == shared
    assert not set(OVERLAPPING.texts) & set(CALIBRATION.texts)


@pytest.mark.parametrize(
    ("page", "view"),
    [
        ("workbench", ""),
        ("samples", ""),
        ("export", ""),
        *(("schemes", view) for view in ("Tree", "Compare", "Propose", "Fine-tune", "Evidence")),
    ],
)
def test_a_figure_on_sentences_that_were_learnt_from_has_a_warning(
    started: Session, tiny: Classifier, page: str, view: str
) -> None:
    at = overlapping(started, tiny)
    app = open_app(at, page, view=view)
    beside = [one.value for one in app.sidebar.warning if COUNTED in one.value]
    assert len(beside) == 1 and on_the_others(at, tiny) in beside[0]
    here = "\n".join(one.value for one in app.main.warning)
    if view in ("Propose", "Fine-tune", "Evidence"):
        assert f"{SHARED} of the 59 evaluation sentences are calibration sentences, too" in here
    elif view == "Compare":
        assert f"({SHARED} by B)" in here
        assert on_the_others(at, tiny).split()[0] in tables(app)
        assert '"name">Sentences learnt from</td><td class="nowrap">0</td>' in tables(app)
    else:
        assert COUNTED in here and on_the_others(at, tiny) in here


def test_the_lesson_says_how_many_sentences_are_in_both_splits(started: Session) -> None:
    shared = replace(started, data=Splits(CALIBRATION, OVERLAPPING, "by hand"))
    removing = {LESSON: LessonProgress(at=5)}
    app = open_app(shared, "learn", **removing)
    assert f"Here {SHARED} of them are calibration sentences, too" in said(app)
    assert "Criteria learn from others" not in said(app)
    assert "Criteria learn from others." in said(open_app(started, "learn", **removing))


def test_the_last_lesson_warns_beside_its_figure(started: Session, tiny: Classifier) -> None:
    app = open_app(overlapping(started, tiny), "learn", **{LESSON: LessonProgress(at=10)})
    assert any(COUNTED in one.value for one in app.main.warning)


@pytest.mark.parametrize("page", ["workbench", "samples", "export", "schemes"])
def test_where_none_was_learnt_from_there_is_no_noise(
    started: Session, tiny: Classifier, page: str
) -> None:
    found = propose(tiny, CALIBRATION, "importance", heads=3)
    app = open_app(replace(started, scheme=found.on(started.scheme)), page)
    assert "learnt from" not in warned(app)
    assert "Nobody knows" not in said(app) and OPEN not in said(app)
    if page == "schemes":
        assert "On the way here none of the 59 sentences was learnt from." in said(app)


@pytest.mark.parametrize("page", ["workbench", "samples", "export", "schemes"])
def test_where_it_is_not_known_it_is_said_quietly(started: Session, page: str) -> None:
    scheme = started.scheme.removing(parse_heads("L0H1"), "importance")
    app = open_app(replace(started, scheme=scheme), page)
    assert "learnt from" not in warned(app)
    assert "Nobody knows how many of the 59 sentences were learnt from." in said(app)


def test_the_calibration_split_measures_nothing_that_learnt_from_it(
    started: Session, tiny: Classifier
) -> None:
    found = propose(tiny, CALIBRATION, "importance", heads=3)
    at = replace(started, scheme=found.on(started.scheme)).looking_at("calibration")
    assert "All 40 sentences were learnt from" in warned(open_app(at, "samples"))


def test_only_steps_on_the_way_count(started: Session, tiny: Classifier) -> None:
    at = overlapping(started, tiny)
    app = open_app(at.moved(at.scheme.undone()))
    assert "learnt from" not in warned(app)
    branch = at.scheme.undone().removing(parse_heads("L1H1"))
    counts = learnt.counts_at_steps(at.moved(branch))
    assert counts == {0: 0, 1: SHARED, 2: 0}


def test_each_step_in_the_table_says_how_many(started: Session, tiny: Classifier) -> None:
    at = overlapping(started, tiny)
    scheme = at.scheme.at(0).removing(parse_heads("L1H1"), "importance")  # as an older file has it
    app = open_app(replace(at, scheme=scheme.at(1)).asking("measuring"), "schemes", view="Tree")
    (table,) = [one.value for one in app.dataframe if "learnt" in getattr(one.value, "columns", ())]
    assert list(table["learnt"].fillna(-1)) == [0, SHARED, -1]


def test_sentences_are_compared_once(
    started: Session, tiny: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = overlapping(started, tiny)
    app = open_app(at)
    monkeypatch.setattr(Encoded, "fingerprints", property(lambda self: pytest.fail("read again")))
    for page in ("schemes", "samples", "export", "workbench"):
        fine(app.switch_page(f"pages/{page}.py").run())
        assert COUNTED in warned(app)


def test_a_link_to_an_exported_model_knows_what_made_it(tmp_path: Path, tiny: Classifier) -> None:
    made = propose(tiny, CALIBRATION, "importance", heads=2).on(Scheme.of(tiny))
    source = str(tmp_path / "smaller")
    export_model(tiny, made, source, "dense", dataset=EVALUATION)
    scheme = Scheme.of(load_classifier(source)).removing(parse_heads("L1H2"))
    link = Link.from_text(Link(scheme, model=source).to_text())

    def start(model: str | None, data: Splits) -> Session:
        return Session(model=model, data=data, scheme=Scheme.of(models.classifier_named(model)))

    begin, removed = links.opened(link, start).scheme.steps
    assert begin.learnt_from == LearntSentences.of(tiny.encode(CALIBRATION).fingerprints)
    assert (begin.method, removed.heads) == (EXPORTED, tuple(parse_heads("L1H2")))
