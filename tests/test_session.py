"""The session is a value; each gesture is one pure transition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bhpvas.classifier import Classifier
from bhpvas.datasets import Dataset, Splits
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.schemes import Scheme
from bhpvas.ui.head_grid import picking
from bhpvas.ui.session import Session, Wish

METRICS: dict[str, object] = {"accuracy": 0.5, "accuracy_interval": [0.4, 0.6]}


@pytest.fixture
def session(classifier: Classifier, dataset: Dataset) -> Session:
    return Session(
        model="tiny",
        data=Splits(dataset, dataset, "by hand"),
        scheme=Scheme.of(classifier).removing(parse_heads("L0H3")),
    )


def heads(text: str) -> frozenset[HeadId]:
    return frozenset(parse_heads(text))


def test_toggling_adds_then_takes_away(session: Session) -> None:
    once = session.toggling(heads("L1H0"))
    both = once.toggling(heads("L1H0,L1H1"))
    assert once.selected == heads("L1H0")
    assert both.selected == heads("L1H0,L1H1")
    assert both.toggling(heads("L1H0")).selected == heads("L1H1")


def test_the_table_keeps_its_own_ticks(session: Session) -> None:
    assert session.ticking(heads("L1H0")).picks == session.picks
    assert session.choosing(heads("L1H0")).picks > session.picks


def test_selected_heads_are_parted_by_whether_they_are_there(session: Session) -> None:
    chosen = session.choosing(heads("L0H3,L1H2,L1H1"))
    assert chosen.selected_kept == parse_heads("L1H1,L1H2")
    assert chosen.selected_removed == parse_heads("L0H3")


def test_a_wish_is_only_what_can_be_done(session: Session) -> None:
    chosen = session.choosing(heads("L0H3,L1H2"))
    assert chosen.wishing("remove").wish == Wish("remove", parse_heads("L1H2"))
    assert chosen.wishing("restore").wish == Wish("restore", parse_heads("L0H3"))
    assert session.wishing("remove").wish is None


@pytest.mark.parametrize(
    ("what", "mask"), [("remove", "L0H3,L1H2"), ("restore", "")], ids=["remove", "restore"]
)
def test_a_granted_wish_is_a_step_with_its_metrics(session: Session, what: str, mask: str) -> None:
    asked = session.choosing(heads("L0H3,L1H2")).wishing(what)  # type: ignore[arg-type]
    assert asked.wish is not None
    done = asked.granted(METRICS)
    assert done.mask == HeadMask.parse(mask, 2, 4) == asked.wish.applied_to(session.now).mask
    assert done.scheme.step(done.scheme.current).metrics == METRICS
    assert (done.wish, done.selected) == (None, frozenset())
    assert done.scheme.undone().mask == session.mask


def test_cancelling_leaves_scheme_and_selection(session: Session) -> None:
    asked = session.choosing(heads("L1H2")).wishing("remove")
    stopped = asked.cancelling("job")
    assert (stopped.scheme, stopped.selected) == (session.scheme, asked.selected)
    assert stopped.wish is None
    assert "job" in stopped.cancelled
    assert not stopped.retrying().cancelled


def test_moving_takes_back_what_was_asked_for(session: Session) -> None:
    asked = session.choosing(heads("L1H2")).wishing("remove").asking_cost().asking_ablation()
    moved = asked.moved(asked.scheme.undone())
    assert (moved.wish, moved.cost_asked, moved.ablating) == (None, False, False)
    assert moved.mask == HeadMask(2, 4)


def test_a_saved_scheme_opens_again(session: Session, classifier: Classifier) -> None:
    fresh = session.moved(Scheme.of(classifier))
    opened = fresh.opening(session.scheme.to_json(), "a.json", classifier)
    assert opened.scheme == session.scheme
    assert opened.error is None


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"format": 1}'])
def test_a_bad_scheme_changes_nothing_but_the_error(
    session: Session, classifier: Classifier, text: str
) -> None:
    opened = session.opening(text, "a.json", classifier)
    assert opened.scheme is session.scheme
    assert opened.error is not None
    assert opened.error.startswith("a.json")


def test_a_scheme_of_another_model_is_refused(session: Session, classifier: Classifier) -> None:
    other = Scheme.started({"id": "other", "revision": None, "fingerprint": "x"}, 2, 4)
    opened = session.opening(other.to_json(), "a.json", classifier)
    assert opened.scheme is session.scheme
    assert opened.error is not None
    assert "other" in opened.error


def test_a_click_in_layer_mode_takes_the_kept_heads_of_the_layer(session: Session) -> None:
    picked = picking(session, [HeadId(0, 1)], "layer")
    assert picked.selected == heads("L0H0,L0H1,L0H2")
    assert picking(picked, [HeadId(0, 0)], "layer").selected == frozenset()
    assert picking(session, [HeadId(0, 1)], "head").selected == heads("L0H1")


def test_sentences_are_selected_within_the_split_that_is_looked_at(session: Session) -> None:
    chosen = session.choosing_sentences([3, 1, 3])
    assert chosen.sentences == {1, 3}
    assert chosen.looking_at("evaluation") is chosen
    other = chosen.looking_at("calibration")
    assert (other.sentences, other.looked_at) == (frozenset(), session.data.calibration)
    assert chosen.moved(session.scheme.undone()).sentences == {1, 3}


@pytest.mark.parametrize("split", ["evaluation", "calibration"])
def test_a_sentence_of_either_split_can_be_opened(session: Session, split: Any) -> None:
    data = Splits(session.data.calibration.take([5, 6]), session.data.evaluation, "by hand")
    opened = replace(session, data=data).looking_at(split).opening_sentence(1).opened
    row = 1 if split == "evaluation" else 6
    assert opened is not None
    assert opened.text == session.data.evaluation.texts[row]
    assert opened.label == session.data.evaluation.labels[row]
    assert opened.row == (1 if split == "evaluation" else None)
