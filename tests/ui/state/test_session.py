"""The session is a value; each gesture is one pure transition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.model.classifier import Classifier
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import PendingStep, Session
from bhpvas.ui.widgets.head_map import picking

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


def test_turning_over_takes_each_head_by_itself(session: Session) -> None:
    both = session.choosing(heads("L1H0,L1H1"))
    assert both.turning_over(heads("L1H1,L0H0")).selected == heads("L1H0,L0H0")


def test_the_table_of_pairs_keeps_its_own_ticks(session: Session) -> None:
    assert session.ticking(heads("L1H0")).picks == session.picks
    assert session.choosing(heads("L1H0")).picks > session.picks


def test_selected_heads_are_parted_by_whether_they_are_there(session: Session) -> None:
    chosen = session.choosing(heads("L0H3,L1H2,L1H1"))
    assert chosen.selected_kept == parse_heads("L1H1,L1H2")
    assert chosen.selected_removed == parse_heads("L0H3")


def test_a_wish_is_only_what_can_be_done(session: Session) -> None:
    chosen = session.choosing(heads("L0H3,L1H2"))
    assert chosen.requesting("remove").pending == PendingStep("remove", parse_heads("L1H2"))
    assert chosen.requesting("restore").pending == PendingStep("restore", parse_heads("L0H3"))
    assert session.requesting("remove").pending is None


@pytest.mark.parametrize(
    ("what", "mask"), [("remove", "L0H3,L1H2"), ("restore", "")], ids=["remove", "restore"]
)
def test_a_granted_wish_is_a_step_with_its_metrics(session: Session, what: str, mask: str) -> None:
    asked = session.choosing(heads("L0H3,L1H2")).requesting(what)  # type: ignore[arg-type]
    assert asked.pending is not None
    done = asked.completed(METRICS)
    assert done.mask == HeadMask.parse(mask, 2, 4) == asked.pending.applied_to(session.now).mask
    assert done.scheme.step(done.scheme.current).metrics == METRICS
    assert (done.pending, done.selected) == (None, frozenset())
    assert done.scheme.undone().mask == session.mask


def test_neurons_go_and_come_back_with_heads(session: Session) -> None:
    both, one = (NeuronSet.of_layers(2, 6, {1: places}) for places in ([0, 5], [5]))
    gone = PendingStep("remove", parse_heads("L1H0"), neurons=both)
    after = session.asking_for(gone).completed(METRICS)
    assert after.mask == session.mask.without(gone.heads).without_neurons(both)
    assert after.mask == gone.applied_to(session.now).mask
    back = PendingStep("restore", neurons=one)
    assert back.applied_to(after.now).mask.neurons == both - one
    assert after.asking_for(back).completed(METRICS).mask.neurons == both - one


def test_a_feed_forward_part_is_selected_with_a_width_and_let_go(session: Session) -> None:
    chosen = session.turning_part(1, 32).turning_part(0, 8)
    assert chosen.widths == ((0, 8), (1, 32))
    assert chosen.choosing_width(1, 5).widths == ((0, 8), (1, 5))
    assert chosen.turning_part(0, 8).widths == ((1, 32),)
    both = chosen.choosing(heads("L1H2"))
    assert both.widths == chosen.widths, "heads are chosen beside it"
    assert (both.clearing().widths, both.clearing().selected) == ((), frozenset())


def test_a_wish_takes_heads_and_neurons_together(session: Session) -> None:
    some = NeuronSet.of_layers(2, 6, {0: [1, 2]})
    how = {"widths": {"L0F": 4}}
    asked = session.choosing(heads("L1H2")).choosing_width(0, 4).requesting("remove", some, how)
    wish = PendingStep("remove", parse_heads("L1H2"), settings=how, neurons=some)
    assert asked.pending == wish
    done = asked.completed(METRICS)
    assert done.mask == session.mask.without(heads("L1H2")).without_neurons(some)
    assert done.scheme.path()[-1].settings == how
    assert (done.widths, done.selected) == ((), frozenset())
    alone = session.requesting("remove", some, how).pending
    assert alone is not None and alone.heads == ()


def test_cancelling_leaves_scheme_and_selection(session: Session) -> None:
    asked = session.choosing(heads("L1H2")).requesting("remove")
    stopped = asked.cancelling("job", "pending")
    assert (stopped.scheme, stopped.selected) == (session.scheme, asked.selected)
    assert stopped.pending is None
    assert "job" in stopped.cancelled
    assert not stopped.retrying().cancelled


def test_moving_takes_back_what_was_asked_for(session: Session) -> None:
    asked = session.choosing(heads("L1H2")).requesting("remove").asking_cost().asking("ablating")
    moved = asked.moved(asked.scheme.undone())
    assert (moved.pending, moved.cost_asked, moved.ablating) == (None, False, False)
    assert moved.mask == HeadMask(2, 4)


def test_another_scheme_starts_afresh(session: Session, classifier: Classifier) -> None:
    busy = session.choosing(heads("L1H2")).asking("measuring").deleting(1)
    opened = busy.cancelling("job").opening(Scheme.of(classifier, name="other"))
    assert opened.scheme.name == "other"
    assert (opened.selected, opened.deleted, opened.measuring) == (frozenset(), (), False)
    assert not opened.cancelled


# --- the tree -------------------------------------------------------------------------------------


@pytest.fixture
def branched(session: Session) -> Session:
    """Steps 0-1-2-3 with a branch 1-4; back at step 2 with a redo to step 3."""
    scheme = session.scheme.removing(parse_heads("L1H0")).removing(parse_heads("L1H1"))
    scheme = scheme.at(1).removing(parse_heads("L0H0")).at(3).undone()
    assert (scheme.current, scheme.redo) == (2, (3,))
    return replace(session, scheme=scheme)


def test_a_name_is_one_line_and_never_empty(session: Session) -> None:
    assert session.naming("  my\n scheme ").scheme.name == "my scheme"
    assert session.naming(" \n").scheme == session.scheme


def test_a_note_belongs_to_its_step(branched: Session) -> None:
    noted = branched.noting(1, " why not \n")
    assert noted.scheme.step(1).note == "why not"
    assert noted.noting(1, "").scheme == branched.scheme


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_deleting_and_putting_back_leaves_all_as_it_was(branched: Session, step: int) -> None:
    gone = branched.asking_cost().deleting(step)
    ids = {one.id for one in gone.scheme.steps}
    assert ids.isdisjoint(branched.scheme.subtree(step))
    assert not gone.cost_asked
    back = gone.putting_back()
    assert set(back.scheme.steps) == set(branched.scheme.steps)
    assert (back.scheme.current, back.scheme.redo) == (2, (3,))
    assert back.deleted == ()


def test_what_was_done_since_stays_when_steps_come_back(branched: Session) -> None:
    since = branched.deleting(2)
    since = since.moved(since.scheme.removing(parse_heads("L1H3")))
    back = since.putting_back()
    assert back.scheme.current == since.scheme.current
    assert {one.id for one in back.scheme.steps} == {0, 1, 2, 3, 4, 5}


def test_cuts_come_back_the_last_first(branched: Session) -> None:
    twice = branched.deleting(3).deleting(1)
    assert [len(cut.steps) for cut in twice.deleted] == [1, 3]
    assert len(twice.putting_back().scheme.steps) == 4
    assert set(twice.putting_back().putting_back().scheme.steps) == set(branched.scheme.steps)


def test_stopping_ends_what_was_asked_of_the_tree(session: Session) -> None:
    asked = session.asking("measuring").asking("timing", ("latency", 8))
    assert (asked.measuring, asked.timing) == (True, ("latency", 8))
    assert asked.cancelling(("latency", 8)) == replace(
        asked, timing=None, cancelled=frozenset({("latency", 8)})
    )
    stopped = asked.cancelling("job", "measuring")
    assert (stopped.measuring, stopped.timing) == (False, ("latency", 8))


def test_stopping_one_job_leaves_what_asks_for_others(session: Session) -> None:
    asked = (
        session.choosing(heads("L1H2")).requesting("remove").asking("measuring").asking("ablating")
    )
    asked = (
        asked.asking("timing", "t")
        .asking("exporting", "e")
        .asking("reporting", "r")
        .asking("recovering", "rescale")
    )
    assert asked.cancelling("other") == replace(asked, cancelled=frozenset({"other"}))
    for field, job in (("timing", "t"), ("exporting", "e"), ("reporting", "r")):
        assert asked.cancelling(job) == replace(asked, **{field: None}, cancelled=frozenset({job}))


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
    chosen = replace(session, data=data).looking_at(split).opening_sentence(1)
    opened = chosen.opened
    row = 1 if split == "evaluation" else 6
    assert opened is not None
    assert opened.text == session.data.evaluation.texts[row]
    assert chosen.truth == session.data.evaluation.labels[row]
    assert (opened.row, opened.split) == (1, split)
