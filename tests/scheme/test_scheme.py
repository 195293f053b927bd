"""The tree of steps: transitions against a slow replay, files against every kind of damage."""

import json
import os
import tracemalloc
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bhpvas.errors import HeadError, SchemeError
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.scheme.scheme import Scheme, load_scheme
from bhpvas.scheme.step import Step

LAYERS, HEADS = 2, 4
MODEL = {"id": "sample", "revision": None, "fingerprint": "0123abcd"}
NOON = "2025-01-31T12:00:00+00:00"

heads = st.builds(HeadId, st.integers(0, LAYERS - 1), st.integers(0, HEADS - 1))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def started(**options: Any) -> Scheme:
    return Scheme.started(MODEL, LAYERS, HEADS, time=NOON, **options)


def branched() -> Scheme:
    """Steps 0-1-2 with a branch 1-3-4 off step 1; at step 3 with a redo to step 4."""
    return (
        started(data={"name": "sample · evaluation"}, metrics={"accuracy": 0.92})
        .removing(parse_heads("L0H3"), time=NOON)
        .removing(
            parse_heads("L1H0,L1H1"), "lowest", {"k": 2}, {"accuracy": 0.9}, seed=7, time=NOON
        )
        .undone()
        .removing(parse_heads("L1H2"), time=NOON, note="another way")
        .restoring(parse_heads("L0H3"), time=NOON)
        .undone()
    )


# --- transitions ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "change",
    [
        {"data_fingerprint": "other"},
        {"accuracy": None},
        {"accuracy": "high"},
        {"accuracy": True},
        {"accuracy": float("nan")},
        {"accuracy": 1.5, "accuracy_interval": [0.4, 1.6]},
        {"accuracy_interval": None},
        {"accuracy_interval": [0.4]},
        {"accuracy_interval": "46"},
        {"accuracy_interval": [0.6, 0.4]},
        {"accuracy_interval": [0.51, 0.6]},
        {"accuracy_interval": [-0.1, 0.6]},
        {"n": None},
        {"n": 0},
        {"loss": "low"},
        {"flops_per_sentence": 10**400},
        {"parameters": [1]},
    ],
    ids=str,
)
def test_metrics_that_no_evaluation_leaves_are_none(change: dict[str, Any]):
    metrics = {"data_fingerprint": "here", "accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "n": 9}
    step = started(metrics=metrics).step(0)
    assert step.measured_on("here")
    assert replace(step, metrics=step.metrics | {"loss": 0.7, "f1": None}).measured_on("here")
    assert not replace(step, metrics=step.metrics | change).measured_on("here")
    for name in metrics:
        less = {key: value for key, value in metrics.items() if key != name}
        assert not replace(step, metrics=less).measured_on("here")


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
        geometry = SimpleNamespace(layers=layers, heads=HEADS, pruned=frozenset())
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


def with_steps(layers: int, heads: int, steps: int) -> str:
    """A file whose start lacks all heads but one, which each of its steps removes anew."""
    every = list(HeadMask(layers, heads))
    scheme = Scheme.started(MODEL, layers, heads, time=NOON, pruned=frozenset(every[:-1]))
    document = json.loads(scheme.removing(every[-1:], time=NOON).to_json())
    (start, step) = document["steps"]
    document["steps"] = [start, *(step | {"id": number} for number in range(1, steps))]
    document["next_id"] = steps
    return json.dumps(document)


def test_a_file_that_would_fill_the_memory_is_refused_while_it_is_read():
    text = with_steps(100, 100, 3000)
    assert len(text) < 2**20
    tracemalloc.start()
    with pytest.raises(SchemeError, match="hold more than 1,000,000 removed heads") as caught:
        Scheme.from_json(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6  # unrefused: 1.5 GB
    assert is_one_sentence(str(caught.value))


def test_many_steps_of_a_large_model_are_read():
    text = with_steps(24, 16, 1000)
    assert len(Scheme.from_json(text).steps) == 1000


def damage(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return change


DAMAGED = {
    "other program": (damage("format", "name", to="svg"), "'name' of 'format' is 'svg' and not"),
    "later version": (damage("format", "version", to=2), "'version' of 'format' is 2 and not 1;"),
    "version as text": (damage("format", "version", to="1"), "'version' of 'format' is '1'"),
    "version true": (damage("format", "version", to=True), "'version' of 'format' is True"),
    "no format": (lambda document: document.pop("format"), "no 'format'"),
    "no name": (lambda document: document.pop("name"), "the scheme has no 'name'"),
    "no fingerprint": (lambda document: document["model"].pop("fingerprint"), "'fingerprint'"),
    "model a text": (damage("model", to="sample"), "'model' is 'sample' and not an object;"),
    "no heads": (damage("geometry", "heads", to=0), "'heads' of 'geometry' is 0 and not 1 or more"),
    "a huge model": (damage("geometry", "layers", to=10**30), "that of no model"),
    "geometry too small": (damage("geometry", "layers", to=1), "'L1H0', no head of 1 layers"),
    "no steps": (damage("steps", to=[]), "'steps' is \\[\\] and not a list with an entry"),
    "step a number": (damage("steps", 2, to=4), "step number 2 is 4 and not an object"),
    "first is no start": (damage("steps", 0, "what", to="remove"), "'what' of step number 0"),
    "start with heads": (damage("steps", 0, "heads", to=["L0H0"]), "its 'removed_heads' are not"),
    "start with parent": (damage("steps", 0, "parent", to=3), "its start has a parent"),
    "two starts": (damage("steps", 2, "what", to="start"), "'start', which cannot stand there"),
    "what of a later version": (
        damage("steps", 4, "what", to="merge"),
        "'merge' and not 'start', ",
    ),
    "recovered without weights": (
        lambda document: document["steps"][4].update(what="recover", heads=[]),
        "step number 4 has no 'weights'",
    ),
    "recovered with heads": (
        lambda document: document["steps"][4].update(what="recover", weights="0" * 16),
        r"'heads' of step number 4 is \['L0H3'\] and not an empty list",
    ),
    "weights elsewhere": (
        lambda document: document["steps"][4].update(
            what="recover", heads=[], weights="../../etc/passwd"
        ),
        "'weights' of step number 4 is '../../etc/passwd' and not a hash",
    ),
    "weights a number": (
        lambda document: document["steps"][4].update(what="recover", heads=[], weights=7),
        "'weights' of step number 4 is 7 and not text",
    ),
    "unknown parent": (damage("steps", 2, "parent", to=17), "has the parent 17, no step before"),
    "no parent": (damage("steps", 2, "parent", to=None), "has the parent None"),
    "cycle": (damage("steps", 3, "parent", to=4), "step number 3 has the parent 4"),
    "own parent": (damage("steps", 3, "parent", to=3), "step number 3 has the parent 3"),
    "same id twice": (damage("steps", 2, "id", to=1), "id 1, which is already taken"),
    "negative id": (
        damage("steps", 4, "id", to=-4),
        "'id' of step number 4 is -4 and not 0",
    ),
    "no such head": (damage("steps", 2, "heads", to=["L0H9"]), "names 'L0H9', no head of 2"),
    "head a number": (
        damage("steps", 2, "heads", to=[3]),
        "'heads' of step number 2 is 3 and not",
    ),
    "head without end": (damage("steps", 2, "heads", to=["L" + "9" * 5000 + "H0"]), "not a head"),
    "removed before": (damage("steps", 2, "heads", to=["L0H3"]), "cannot remove the heads 'L0H3'"),
    "never removed": (damage("steps", 4, "heads", to=["L1H1"]), "cannot restore"),
    "step without heads": (damage("steps", 2, "heads", to=[]), "cannot remove the heads ''"),
    "settings a list": (damage("steps", 2, "settings", to=[]), "'settings' of step number 2"),
    "seed a text": (damage("steps", 2, "seed", to="7"), "'7' and not a whole number"),
    "no time": (damage("steps", 2, "time", to="noon"), "'noon' and not an ISO 8601 time"),
    "current elsewhere": (damage("current", to=8), "current step 8 is none"),
    "other removed heads": (damage("removed_heads", to=["L0H3"]), "'removed_heads' are not those"),
    "redo elsewhere": (damage("redo", to=[2]), "leads to 2, which is no step after 3"),
    "redo to a list": (
        damage("redo", to=[[]]),
        r"number 0 of 'redo' is \[\] and",
    ),
    "next id taken": (damage("next_id", to=4), "'next_id' 4 is not above"),
    "next id too large": (damage("next_id", to=10**400), "is not above"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named(change: Callable[[Any], Any], message: str):
    document = json.loads(branched().to_json())
    change(document)
    with pytest.raises(SchemeError, match=message) as caught:
        Scheme.from_json(json.dumps(document), source="mine.json")
    assert str(caught.value).startswith("mine.json is no scheme that this version of bhpvas")
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON from line 1, column 1"),
        (b"L0H3,L5H11", "not JSON from line 1"),
        (b"[]", r"the scheme is \[\] and not an object"),
        (b'{"format": 1}', "'format' is 1 and not an object"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "bytes, numbers or nesting"),
        (b"[" * 100_000, "bytes, numbers or nesting"),
        (b'{"format": NaN}', "bytes, numbers or nesting"),
        (b'{"format": 1e999}', "bytes, numbers or nesting"),
        (b'{"format": "\\ud800"}', "bytes, numbers or nesting"),
        (b'{"format": 1' + b"0" * 5000 + b"}", "bytes, numbers or nesting"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_files_that_are_no_scheme(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(SchemeError, match=message) as caught:
        load_scheme(path)
    assert "mine.json" in str(caught.value)
    assert is_one_sentence(str(caught.value))


def is_one_sentence(message: str) -> bool:
    return message.endswith(".") and "\n" not in message and ". " not in message


def opens_or_says_why(content: str | bytes) -> None:
    try:
        scheme = Scheme.from_json(content)
    except SchemeError as error:
        assert is_one_sentence(str(error).replace("...", "…"))
        assert len(str(error)) < 600
    else:
        assert Scheme.from_json(scheme.to_json()) == scheme
        scheme = scheme.undone().redone().at(scheme.steps[0].id)
        assert Scheme.from_json(scheme.removing([HeadId(0, 0)]).to_json()).current == scheme.next_id


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every entry in a JSON document."""
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    else:
        entries = []
    return [
        place for key, entry in entries for place in [(*path, key), *places(entry, (*path, key))]
    ]


DOCUMENT = json.loads(branched().to_json())
fitting_values = json_values | st.sampled_from(
    ["L0H0", "L1H2", "L9H9", "start", "remove", "restore", ["L0H3"], 0, 1, 2, 3, 4, 5, -1, 10**20]
)


@settings(max_examples=600)
@given(
    st.lists(st.tuples(st.sampled_from(places(DOCUMENT)), fitting_values), min_size=1, max_size=3)
)
def test_changed_entries_open_or_say_why(changes: list[tuple[tuple, Any]]):
    document = deepcopy(DOCUMENT)
    for path, value in changes:
        try:
            damage(*path, to=value)(document)
        except (LookupError, TypeError):  # an earlier change took this place away
            reject()
    opens_or_says_why(json.dumps(document))


@given(st.sampled_from(places(DOCUMENT)))
def test_missing_entries_open_or_say_why(path: tuple):
    document = deepcopy(DOCUMENT)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    opens_or_says_why(json.dumps(document))


@settings(max_examples=300)
@given(st.integers(0, 10_000), st.integers(0, 30), st.binary(max_size=6))
def test_changed_bytes_open_or_say_why(start: int, length: int, instead: bytes):
    content = branched().to_json().encode()
    start %= len(content)
    opens_or_says_why(content[:start] + instead + content[start + length :])
