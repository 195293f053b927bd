"""The tree of steps: transitions against a slow replay, and what a file of it gives back."""

import json
import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bhpvas.errors import HeadError, SchemeError
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.scheme.scheme import Scheme, load_scheme
from bhpvas.scheme.step import Step
from tests.scheme.trees import (
    HEADS,
    LAYERS,
    MODEL,
    NOON,
    branched,
    heads,
    is_one_sentence,
    json_values,
    started,
)


def test_removing_and_restoring_record_only_what_changes():
    scheme = started().removing(parse_heads("L0H3,L1H0")).removing(parse_heads("L0H3,L0H1"))
    assert scheme.step(2).heads == parse_heads("L0H1")
    assert scheme.removed_heads == parse_heads("L0H1,L0H3,L1H0")
    scheme = scheme.restoring(parse_heads("L0H3,L1H3"))
    assert scheme.step(3).heads == parse_heads("L0H3")
    assert scheme.mask == HeadMask.parse("L0H1,L1H0", LAYERS, HEADS)
    assert scheme.mask_at(1) == HeadMask.parse("L0H3,L1H0", LAYERS, HEADS)


def test_a_step_keeps_all_that_is_told_about_it():
    step = branched().step(2)
    assert (step.what, step.parent, step.method, step.settings) == ("remove", 1, "lowest", {"k": 2})
    assert (step.seed, step.metrics, step.time, step.note) == (7, {"accuracy": 0.9}, NOON, "")


def test_nothing_to_remove_or_restore_is_refused():
    scheme = started().removing(parse_heads("L0H3"))
    with pytest.raises(SchemeError, match=r"nothing to remove \(L0H3 selected\)"):
        scheme.removing(parse_heads("L0H3"))
    with pytest.raises(SchemeError, match=r"nothing to restore \(no head selected\)"):
        scheme.restoring([])
    with pytest.raises(HeadError, match="L2H0 does not exist"):
        scheme.removing([HeadId(2, 0)])
    with pytest.raises(HeadError, match="L0H4 does not exist"):
        scheme.restoring([HeadId(0, 4)])


def test_removing_after_undo_makes_a_branch_and_ends_redo():
    scheme = branched()
    assert [[step.id for step in path] for path in scheme.branches()] == [[0, 1, 2], [0, 1, 3, 4]]
    assert [step.id for step in scheme.path()] == [0, 1, 3]
    assert scheme.redo == (4,)
    again = scheme.removing(parse_heads("L0H0"))
    assert (again.current, again.redo, again.can_redo) == (5, (), False)


def test_a_recovery_changes_weights_and_no_head_and_holds_until_the_next():
    first, second = "0123456789abcdef", "fedcba9876543210"
    scheme = started().removing(parse_heads("L0H3"))
    assert scheme.weights is None
    scheme = scheme.recovered(first, "compensate", {"sentences": 240}, seed=3, time=NOON)
    assert (scheme.mask, scheme.weights) == (HeadMask.parse("L0H3", LAYERS, HEADS), first)
    step = scheme.step(2)
    assert (step.what, step.heads, step.method, step.seed) == ("recover", (), "compensate", 3)
    later = scheme.removing(parse_heads("L1H0")).restoring(parse_heads("L0H3"))
    assert later.weights == first
    again = later.recovered(second, "rescale")
    assert [again.weights_at(number) for number in range(6)] == [None] * 2 + [first] * 3 + [second]
    assert again.undone().weights == first
    assert again.at(1).removing(parse_heads("L1H2")).weights is None
    assert Scheme.from_json(again.to_json()) == again
    assert json.loads(again.to_json())["steps"][2]["weights"] == first


def test_undo_at_the_start_and_redo_at_the_end_change_nothing():
    scheme = started()
    assert (scheme.can_undo, scheme.can_redo) == (False, False)
    assert scheme.undone() is scheme
    assert scheme.redone() is scheme


def test_moving_along_the_line_keeps_redo_and_moving_elsewhere_ends_it():
    scheme = branched()
    assert scheme.at(0).redo == (1, 3, 4)
    assert scheme.at(0).at(3).redo == (4,)
    assert scheme.at(2).redo == ()
    assert scheme.at(2).undone().redo == (2,)
    assert scheme.at(scheme.current) == scheme


def test_deleting_a_step_takes_its_subtree_and_no_other_id():
    scheme = branched()
    without_branch = scheme.without_step(3)
    assert [step.id for step in without_branch.steps] == [0, 1, 2]
    assert (without_branch.current, without_branch.redo) == (1, ())
    without_end = scheme.without_step(4)
    assert (without_end.current, without_end.redo) == (3, ())
    elsewhere = scheme.without_step(2)
    assert (elsewhere.current, elsewhere.redo) == (3, (4,))
    assert without_end.removing(parse_heads("L0H0")).current == 5, "an id is never used twice"
    with pytest.raises(SchemeError, match="start of scheme 'main' cannot be deleted"):
        scheme.without_step(0)


def test_metrics_notes_and_names():
    scheme = branched()
    measured = scheme.measured({"n": 480}).measured({"n": 96, "accuracy": 0.5}, step_id=2)
    assert measured.step(3).metrics == {"n": 480}
    assert measured.step(2).metrics == {"n": 96, "accuracy": 0.5}
    assert measured.measured({"n": 480}, 2).step(2).metrics == {"n": 480, "accuracy": 0.5}
    assert scheme.noted(1, "by eye").step(1).note == "by eye"
    assert scheme.renamed("second").name == "second"


def test_an_unknown_step_is_named():
    for transition in (
        lambda scheme: scheme.at(9),
        lambda scheme: scheme.noted(9, "x"),
        lambda scheme: scheme.measured({}, 9),
        lambda scheme: scheme.without_step(9),
    ):
        with pytest.raises(SchemeError, match="'main' has no step 9: its steps are 0, 1, 2, 3, 4"):
            transition(branched())


def test_values_of_numpy_become_plain_and_are_copied():
    settings = {"weights": np.array([1.0, 0.5], np.float32), "k": np.int64(3), "names": ("a", "b")}
    scheme = started().removing([HeadId(0, 0)], settings=settings, seed=np.int64(4))
    settings["names"] = ("c",)
    assert scheme.step(1).settings == {"weights": [1.0, 0.5], "k": 3, "names": ["a", "b"]}
    scheme = scheme.noted(np.int64(1), "numpy").at(np.int64(0)).at(np.int64(1))
    assert Scheme.from_json(scheme.to_json()) == scheme


def test_time_is_now_unless_told():
    before = datetime.now(UTC) - timedelta(seconds=1)
    step = Scheme.started(MODEL, LAYERS, HEADS).step(0)
    assert before <= datetime.fromisoformat(step.time) <= datetime.now(UTC)
    with pytest.raises(ValueError, match="yesterday"):
        Scheme.started(MODEL, LAYERS, HEADS, time="yesterday")


def test_equal_schemes_are_one_key():
    assert branched() == branched()
    assert len({branched(), branched(), branched().undone()}) == 2


def test_a_scheme_of_another_model_names_both():
    def classifier(fingerprint: str, layers: int = LAYERS) -> Any:
        geometry = SimpleNamespace(
            layers=layers, heads=HEADS, pruned=frozenset(), pruned_neurons=None
        )
        return SimpleNamespace(
            source="models/mine", revision="r1", fingerprint=fingerprint, geometry=geometry
        )

    scheme = Scheme.of(classifier("same"))
    assert scheme.model == {"id": "models/mine", "revision": "r1", "fingerprint": "same"}
    assert scheme.matches(classifier("same")) is scheme
    with pytest.raises(SchemeError, match=r"model sample \(2×4.*this is models/mine \(2×4.*other"):
        started().matches(classifier("other"))
    with pytest.raises(SchemeError, match=r"\(2×4 heads.*\(3×4 heads"):
        scheme.matches(classifier("same", layers=3))


class Transitions(RuleBasedStateMachine):
    """Any sequence of transitions, against what undo and redo mean when done one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.scheme = started()
        self.ids = {0}
        self.earlier: list[tuple[Scheme, str]] = []
        self.deleted: list[tuple[Step, ...]] = []

    def becomes(self, scheme: Scheme) -> None:
        self.earlier.append((self.scheme, self.scheme.to_json()))
        self.scheme = scheme

    def stepped(self, scheme: Scheme) -> None:
        assert scheme.current not in self.ids
        assert scheme.step(scheme.current).parent == self.scheme.current
        assert scheme.redo == ()
        self.ids.add(scheme.current)
        self.becomes(scheme)

    @rule(chosen=st.frozensets(heads, min_size=1))
    def remove(self, chosen: frozenset[HeadId]) -> None:
        if chosen <= self.scheme.mask.removed:
            with pytest.raises(SchemeError):
                self.scheme.removing(chosen)
        else:
            after = self.scheme.removing(chosen, time=NOON)
            assert after.mask == self.scheme.mask.without(chosen)
            self.stepped(after)

    @rule(chosen=st.frozensets(heads, min_size=1))
    def restore(self, chosen: frozenset[HeadId]) -> None:
        if not chosen & self.scheme.mask.removed:
            with pytest.raises(SchemeError):
                self.scheme.restoring(chosen)
        else:
            after = self.scheme.restoring(chosen, time=NOON)
            assert after.mask == self.scheme.mask.restored(chosen)
            self.stepped(after)

    @rule(weights=st.sampled_from(["0" * 16, "1" * 16]))
    def recover(self, weights: str) -> None:
        after = self.scheme.recovered(weights, "compensate", time=NOON)
        assert (after.mask, after.weights) == (self.scheme.mask, weights)
        self.stepped(after)

    @precondition(lambda self: self.scheme.can_undo)
    @rule()
    def undo(self) -> None:
        undone = self.scheme.undone()
        assert undone.current == self.scheme.step(self.scheme.current).parent
        assert undone.redone() == self.scheme
        self.becomes(undone)

    @precondition(lambda self: self.scheme.can_redo)
    @rule()
    def redo(self) -> None:
        redone = self.scheme.redone()
        assert redone.undone() == self.scheme
        self.becomes(redone)

    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        goal = data.draw(st.sampled_from([step.id for step in self.scheme.steps]))
        line = [self.scheme]
        while line[-1].can_undo:
            line.append(line[-1].undone())
        line.append(self.scheme)
        while line[-1].can_redo:
            line.append(line[-1].redone())
        reached = [scheme for scheme in line if scheme.current == goal]
        moved = self.scheme.at(goal)
        if reached:
            assert moved == reached[0]
        else:
            assert (moved.current, moved.redo) == (goal, ())
        self.becomes(moved)

    @precondition(lambda self: len(self.scheme.steps) > 1)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        victim = data.draw(st.sampled_from([step.id for step in self.scheme.steps[1:]]))
        kept = [
            step
            for step in self.scheme.steps
            if victim not in [before.id for before in self.scheme.path(step.id)]
        ]
        after = self.scheme.without_step(victim)
        assert list(after.steps) == kept
        if self.scheme.current in [step.id for step in kept]:
            assert after.current == self.scheme.current
        else:
            assert after.current == self.scheme.step(victim).parent
        gone = tuple(step for step in self.scheme.steps if step not in kept)
        assert set(after.rejoined(gone).steps) == set(self.scheme.steps)
        self.deleted.append(gone)
        self.becomes(after)

    @precondition(lambda self: self.deleted)
    @rule()
    def put_back(self) -> None:
        gone = self.deleted.pop()
        if gone[0].parent in [step.id for step in self.scheme.steps]:
            after = self.scheme.rejoined(gone)
            assert set(after.steps) == {*self.scheme.steps, *gone}
            assert (after.current, after.redo) == (self.scheme.current, self.scheme.redo)
            self.becomes(after)
        else:
            with pytest.raises(SchemeError, match=f"step {gone[0].parent}, which it follows"):
                self.scheme.rejoined(gone)

    @rule(metrics=st.dictionaries(st.text(max_size=3), st.floats(0, 1)), data=st.data())
    def measure(self, metrics: dict[str, float], data: st.DataObject) -> None:
        step_id = data.draw(st.sampled_from([step.id for step in self.scheme.steps]))
        self.becomes(self.scheme.measured(metrics, step_id).noted(step_id, "measured"))

    @invariant()
    def masks_are_replays(self) -> None:
        for step in self.scheme.steps:
            removed: set[HeadId] = set()
            for passed in self.scheme.path(step.id):
                if passed.what == "remove":
                    assert removed.isdisjoint(passed.heads)
                    removed |= set(passed.heads)
                else:
                    assert removed >= set(passed.heads)
                    removed -= set(passed.heads)
            assert self.scheme.mask_at(step.id) == HeadMask(LAYERS, HEADS, frozenset(removed))

    @invariant()
    def redo_goes_down_from_the_current_step(self) -> None:
        line = [self.scheme.current, *self.scheme.redo]
        for before, after in pairwise(line):
            assert self.scheme.step(after).parent == before

    @invariant()
    def every_leaf_is_the_end_of_one_branch(self) -> None:
        parents = [step.parent for step in self.scheme.steps]
        ends = [path[-1].id for path in self.scheme.branches()]
        assert ends == [step.id for step in self.scheme.steps if step.id not in parents]

    @invariant()
    def files_give_back_the_same_value(self) -> None:
        assert Scheme.from_json(self.scheme.to_json()) == self.scheme

    @invariant()
    def earlier_values_stay(self) -> None:
        for scheme, text in self.earlier[-3:]:
            assert scheme.to_json() == text


TestTransitions = Transitions.TestCase
TestTransitions.settings = settings(max_examples=60, stateful_step_count=25)


# --- files ----------------------------------------------------------------------------------------


def test_file_holds_the_keys_of_the_contract():
    document = json.loads(branched().to_json())
    assert document["format"] == {"name": "bhpvas-scheme", "version": 1}
    assert document["model"] == MODEL
    assert document["geometry"] == {"layers": LAYERS, "heads": HEADS}
    assert document["removed_heads"] == ["L0H3", "L1H2"]
    assert document["steps"][2] == {
        "id": 2,
        "parent": 1,
        "what": "remove",
        "heads": ["L1H0", "L1H1"],
        "method": "lowest",
        "settings": {"k": 2},
        "seed": 7,
        "metrics": {"accuracy": 0.9},
        "time": NOON,
        "note": "",
    }


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values), st.data())
def test_whatever_was_told_comes_back_from_a_file(told: dict[str, Any], data: st.DataObject):
    text = st.text(st.characters(exclude_categories=["Cs"]))
    scheme = started(name=data.draw(text), data=told, metrics=told)
    scheme = scheme.removing([HeadId(0, 0)], data.draw(text), told, told, note=data.draw(text))
    assert Scheme.from_json(scheme.to_json()) == scheme
    assert Scheme.from_json(scheme.to_json().encode()) == scheme


def test_save_and_load(tmp_path: Path):
    path = tmp_path / "weiß 白.json"
    branched().save(path)
    assert load_scheme(path) == branched()
    branched().undone().save(str(path))
    assert load_scheme(str(path)) == branched().undone()
    plain = tmp_path / "plain"
    plain.write_text("")
    assert path.stat().st_mode == plain.stat().st_mode
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["plain", "weiß 白.json"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, broken: str):
    path = tmp_path / "scheme.json"
    branched().save(path)

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(SchemeError, match=r"scheme\.json \(No space left on device\)") as caught:
        branched().undone().save(path)
    assert is_one_sentence(str(caught.value))
    assert load_scheme(path) == branched()
    assert [entry.name for entry in tmp_path.iterdir()] == ["scheme.json"]


def test_paths_that_cannot_be_used(tmp_path: Path):
    for path in (tmp_path, tmp_path / "no folder" / "scheme.json"):
        with pytest.raises(SchemeError, match="cannot be written") as caught:
            branched().save(path)
        assert is_one_sentence(str(caught.value))
        with pytest.raises(SchemeError, match="cannot be read") as caught:
            load_scheme(path)
        assert is_one_sentence(str(caught.value))
    assert list(tmp_path.iterdir()) == []


def test_half_a_surrogate_pair_does_not_stop_a_save(tmp_path: Path):
    path = tmp_path / "scheme.json"
    started(name="caf\udce9").save(path)
    assert load_scheme(path).name == "caf?"


def test_keys_of_a_later_version_are_kept():
    document = json.loads(branched().to_json())
    document["colour"] = "blue"
    document["model"]["licence"] = "apache-2.0"
    document["steps"][1]["weights"] = {"sha256": "00ff"}
    scheme = Scheme.from_json(json.dumps(document))
    changed = scheme.removing(parse_heads("L0H0"), time=NOON).measured({"n": 3}, 1)
    written = json.loads(changed.to_json())
    assert written["colour"] == "blue"
    assert written["model"]["licence"] == "apache-2.0"
    assert written["steps"][1]["weights"] == {"sha256": "00ff"}
    assert "weights" not in written["steps"][5]
