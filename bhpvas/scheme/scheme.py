"""Scheme: every step by which heads were removed and restored, as a tree of immutable values.

A scheme starts with all heads. Removing or restoring heads, or a recovery, which changes weights
and no head, adds a step below the current one; undo, redo and :meth:`Scheme.at` only move along the
tree, so nothing that was measured is lost, and removing after an undo makes a branch. Every
transition returns a new scheme. Keeping the old value is therefore all that it takes to revoke a
transition, :meth:`Scheme.without_step` included. What a scheme file holds is in
:mod:`bhpvas.scheme.schema`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bhpvas.errors import SchemeError
from bhpvas.heads import HeadId, HeadMask, format_heads
from bhpvas.model.weights import load_weights, weights_file
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.step import (
    BY_HAND,
    EXPORTED,
    Step,
    What,
    changeable,
    changeable_neurons,
    neurons_after,
)
from bhpvas.storage.files import not_written, write_beside

if TYPE_CHECKING:
    from bhpvas.model.classifier import Classifier

#: Where an exported model's folder holds the scheme that made it.
EXPORTED_SCHEME = "scheme/scheme.json"


@dataclass(frozen=True)
class Scheme:
    """A tree of steps and the current one among them.

    >>> from bhpvas import HeadId, Scheme
    >>> scheme = Scheme.started({"id": "sample", "revision": None, "fingerprint": "f"}, 2, 4)
    >>> scheme = scheme.removing([HeadId(0, 3)]).removing([HeadId(1, 0), HeadId(1, 1)])
    >>> str(scheme.mask), str(scheme.undone().mask), str(scheme.undone().redone().mask)
    ('L0H3,L1H0,L1H1', 'L0H3', 'L0H3,L1H0,L1H1')
    >>> branched = scheme.undone().removing([HeadId(1, 2)])
    >>> [[step.id for step in path] for path in branched.branches()]
    [[0, 1, 2], [0, 1, 3]]
    >>> Scheme.from_json(branched.to_json()) == branched
    True
    """

    name: str
    model: dict[str, Any] = field(hash=False)
    data: dict[str, Any] | None = field(hash=False)
    layers: int
    heads: int
    steps: tuple[Step, ...]
    current: int
    redo: tuple[int, ...]
    next_id: int
    extra: dict[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def started(
        cls,
        model: Mapping[str, Any],
        layers: int,
        heads: int,
        *,
        name: str = "main",
        data: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        time: str | None = None,
        pruned: frozenset[HeadId] = frozenset(),
        pruned_neurons: NeuronSet | None = None,
        method: str = "",
        learnt_from: LearntSentences | None = None,
    ) -> Scheme:
        """A scheme with every head kept that is not ``pruned`` from the model, and all neurons that
        are not ``pruned_neurons``.

        ``model`` has the keys id, revision and fingerprint; ``layers`` and ``heads`` (a layer) are
        its geometry. ``data`` is what the ``metrics`` of the start were measured on, ``time`` when
        it was made (ISO 8601; default: now). ``method`` is :data:`~bhpvas.scheme.step.EXPORTED`
        where a scheme made the model, from the sentences ``learnt_from``.
        """
        start = Step(
            0, None, "start", tuple(sorted(pruned)), pruned, method, {}, None, _plain(metrics),
            _time(time), learnt_from=learnt_from, neurons=pruned_neurons,
            removed_neurons=pruned_neurons,
        )  # fmt: skip
        about = None if data is None else _plain(data)
        return cls(name, _plain(model), about, layers, heads, (start,), 0, (), 1)

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        *,
        name: str = "main",
        data: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        time: str | None = None,
    ) -> Scheme:
        """A scheme with every head that a classifier has kept.

        Where the classifier is an export, its start learnt from what the exported scheme did.
        """
        geometry = classifier.geometry
        made_by = Path(os.path.expanduser(classifier.source), EXPORTED_SCHEME)
        made = made_by.is_file()
        about = {
            "id": classifier.source,
            "revision": classifier.revision,
            "fingerprint": classifier.fingerprint,
        }
        return cls.started(
            about, geometry.layers, geometry.heads, name=name, data=data, metrics=metrics,
            time=time, pruned=geometry.pruned, pruned_neurons=geometry.pruned_neurons,
            method=EXPORTED if made else "",
            learnt_from=_learnt_from(made_by) if made else None,
        )  # fmt: skip

    # --- reading -----------------------------------------------------------------------------

    @property
    def mask(self) -> HeadMask:
        """The mask at the current step."""
        return self.mask_at(self.current)

    @property
    def removed_heads(self) -> tuple[HeadId, ...]:
        """The heads removed at the current step, sorted."""
        return tuple(sorted(self.step(self.current).removed))

    def mask_at(self, step_id: int) -> HeadMask:
        """The mask at any step."""
        step = self.step(step_id)
        lacking = (self.pruned, step.removed_neurons, self.pruned_neurons)
        return HeadMask(self.layers, self.heads, step.removed, *lacking)

    @property
    def pruned(self) -> frozenset[HeadId]:
        """The heads that the model never had: those of the start."""
        return self.steps[0].removed

    @property
    def pruned_neurons(self) -> NeuronSet | None:
        """The feed-forward neurons that the model never had: those of the start."""
        return self.steps[0].removed_neurons

    @property
    def weights(self) -> str | None:
        """The hash of the weights that hold at the current step; None = the model's own."""
        return self.weights_at(self.current)

    def weights_at(self, step_id: int) -> str | None:
        """The hash of the weights that hold at any step: those of the last recovery before it.

        They were fitted for the heads of their own step. A head that is restored later has no part
        in them until the next recovery.
        """
        return next((step.weights for step in reversed(self.path(step_id)) if step.weights), None)

    def learnt_at(self, step_id: int) -> LearntSentences:
        """The sentences that any step from the start to this one is known to have learnt from."""
        learnt = [step.learnt_from for step in self.path(step_id) if step.learnt_from is not None]
        prints = [np.empty(0, np.uint64), *(one.fingerprints for one in learnt)]
        return LearntSentences.of(np.concatenate(prints))

    def step(self, step_id: int) -> Step:
        """A step by its id; raises :class:`SchemeError` where there is none."""
        if step_id not in self._by_id:
            raise SchemeError(
                f"Scheme {self.name!r} has no step {step_id}: its steps are "
                f"{', '.join(map(str, self._by_id))}."
            )
        return self._by_id[step_id]

    def path(self, step_id: int | None = None) -> tuple[Step, ...]:
        """The steps from the start to a step (default: the current one), both included."""
        step = self.step(self.current if step_id is None else step_id)
        path = [step]
        while step.parent is not None:
            step = self.step(step.parent)
            path.append(step)
        return tuple(reversed(path))

    def branches(self) -> tuple[tuple[Step, ...], ...]:
        """For each step without a later one, oldest first, the path from the start to it."""
        parents = {step.parent for step in self.steps}
        return tuple(self.path(step.id) for step in self.steps if step.id not in parents)

    def subtree(self, step_id: int) -> frozenset[int]:
        """The ids of a step and of everything that came after it."""
        ids = {self.step(step_id).id}
        for step in self.steps:  # parents stand first
            if step.parent in ids:
                ids.add(step.id)
        return frozenset(ids)

    @property
    def can_undo(self) -> bool:
        """Whether the current step has one before it."""
        return self.step(self.current).parent is not None

    @property
    def can_redo(self) -> bool:
        """Whether an undo, or a move back, left a step to return to."""
        return bool(self.redo)

    def matches(self, classifier: Classifier) -> Scheme:
        """This scheme, if it was made for the classifier; otherwise raises :class:`SchemeError`."""
        geometry = classifier.geometry
        sizes = (geometry.layers, geometry.heads)
        if (self.model["fingerprint"], self.layers, self.heads) != (classifier.fingerprint, *sizes):
            raise SchemeError(
                f"Scheme {self.name!r} was made for the model {self.model['id']} "
                f"({self.layers}×{self.heads} heads, fingerprint {self.model['fingerprint']}), "
                f"and this is {classifier.source} ({geometry.layers}×{geometry.heads} heads, "
                f"fingerprint {classifier.fingerprint}): open it with its own model."
            )
        if self.pruned != geometry.pruned:
            raise SchemeError(
                f"Scheme {self.name!r} does not start with the heads that {classifier.source} has "
                f"(it lacks {format_heads(geometry.pruned) or 'none'}): start a new one."
            )
        if self.pruned_neurons != geometry.pruned_neurons:
            raise SchemeError(
                f"Scheme {self.name!r} does not start with the feed-forward neurons that "
                f"{classifier.source} has (it lacks {geometry.pruned_neurons or 'none'}): start a "
                "new one."
            )
        return self

    def on(self, classifier: Classifier, folder: str | Path) -> Classifier:
        """The classifier with the weights that hold at the current step, read from ``folder``.

        Raises :class:`SchemeError` where the scheme was made for another classifier, and
        :class:`ModelError` where the weights are missing or damaged.
        """
        self.matches(classifier)
        if self.weights is None:
            return classifier.with_weights(None)
        return classifier.with_weights(load_weights(weights_file(folder, self.weights)))

    # --- transitions -------------------------------------------------------------------------

    def removing(
        self,
        heads: Iterable[HeadId],
        method: str = BY_HAND,
        settings: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        note: str = "",
        time: str | None = None,
        learnt_from: LearntSentences | None = None,
        neurons: NeuronSet | None = None,
    ) -> Scheme:
        """A step that removes those of ``heads``, and of feed-forward ``neurons``, which are still
        kept; it becomes the current one.

        ``method``, its ``settings`` and ``seed`` say how they were chosen, ``learnt_from`` by which
        sentences; ``metrics`` are those after it; ``note`` is a person's; ``time`` is ISO 8601, by
        default now. Raises
        :class:`HeadError` for a head that the model lacks and :class:`SchemeError` where none of
        the heads is kept.
        """
        known = (method, settings, metrics, seed, note, time, learnt_from)
        return self._stepping("remove", heads, *known, neurons=neurons)

    def restoring(
        self,
        heads: Iterable[HeadId],
        method: str = BY_HAND,
        settings: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        note: str = "",
        time: str | None = None,
        learnt_from: LearntSentences | None = None,
        neurons: NeuronSet | None = None,
    ) -> Scheme:
        """A step that restores those of ``heads``, and of feed-forward ``neurons``, which are
        removed; it becomes the current one.

        What else is told of it is as in :meth:`removing`. Raises :class:`HeadError` for a head that
        the model lacks and :class:`SchemeError` where none of the heads is removed.
        """
        known = (method, settings, metrics, seed, note, time, learnt_from)
        return self._stepping("restore", heads, *known, neurons=neurons)

    def recovered(
        self,
        weights: str,
        method: str,
        settings: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        note: str = "",
        time: str | None = None,
        learnt_from: LearntSentences | None = None,
    ) -> Scheme:
        """A step that changes weights and no head; it becomes the current one.

        ``weights`` is the hash that names their file; the file itself is not the scheme's to write.
        What else is told of it is as in :meth:`removing`.
        """
        known = (method, settings, metrics, seed, note, time, learnt_from)
        return self._stepping("recover", (), *known, weights)

    def measured(self, metrics: Mapping[str, Any], step_id: int | None = None) -> Scheme:
        """``metrics``, all numbers finite, added to those of a step (default: the current one)."""
        step = self.step(self.current if step_id is None else step_id)
        return self._with_step(replace(step, metrics=step.metrics | _plain(metrics)))

    def noted(self, step_id: int, note: str) -> Scheme:
        """A step's note replaced."""
        return self._with_step(replace(self.step(step_id), note=note))

    def renamed(self, name: str) -> Scheme:
        """The scheme's name replaced."""
        return replace(self, name=name)

    def at(self, step_id: int) -> Scheme:
        """The scheme with another step as the current one.

        A step on the line of undo and redo is reached as by undo and redo, so redo still leads
        down that line; a step elsewhere starts a line of its own, without redo.
        """
        line = [step.id for step in self.path(step_id)]
        old_line = [step.id for step in self.path()] + list(self.redo)
        redo = old_line[len(line) :] if old_line[: len(line)] == line else []
        return replace(self, current=line[-1], redo=tuple(redo))

    def undone(self) -> Scheme:
        """One step back; the scheme itself at the start."""
        parent = self.step(self.current).parent
        return self if parent is None else self.at(parent)

    def redone(self) -> Scheme:
        """One step forward, where undo came from; the scheme itself where there is none."""
        return self.at(self.redo[0]) if self.redo else self

    def without_step(self, step_id: int) -> Scheme:
        """A step and everything after it deleted; if the current one goes, its parent remains.

        Raises :class:`SchemeError` for the start, which every scheme has.
        """
        parent = self.step(step_id).parent
        if parent is None:
            raise SchemeError(
                f"The start of scheme {self.name!r} cannot be deleted: delete a later step, or "
                "start a new scheme."
            )
        deleted = self.subtree(step_id)
        moved = self.at(parent) if self.current in deleted else self
        return replace(
            moved,
            steps=tuple(step for step in self.steps if step.id not in deleted),
            redo=tuple(takewhile(lambda step: step not in deleted, moved.redo)),
        )

    def rejoined(self, steps: Iterable[Step]) -> Scheme:
        """Deleted steps put back; their ids are free, since an id is never used twice.

        Raises :class:`SchemeError` where the step before one of them is deleted, too.
        """
        back = tuple(steps)
        known = {step.id for step in self.steps}
        for step in back:
            if step.parent not in known:
                raise SchemeError(
                    f"Step {step.id} cannot come back to scheme {self.name!r}: step {step.parent}, "
                    "which it follows, is deleted as well."
                )
            known.add(step.id)
        return replace(self, steps=self.steps + back)

    def _stepping(
        self,
        what: What,
        heads: Iterable[HeadId],
        method: str,
        settings: Mapping[str, Any] | None,
        metrics: Mapping[str, Any] | None,
        seed: int | None,
        note: str,
        time: str | None,
        learnt_from: LearntSentences | None,
        weights: str | None = None,
        neurons: NeuronSet | None = None,
    ) -> Scheme:
        """The scheme with one more step, whose facts are those of :meth:`removing`."""
        asked = HeadMask(self.layers, self.heads, frozenset(heads)).removed
        removed = self.mask.removed
        changed = changeable(what, asked, removed) - self.pruned
        gone, masked = self.mask.neurons, self.mask.masked_neurons
        changed_neurons = changeable_neurons(what, neurons, masked if what == "restore" else gone)
        if not changed and changed_neurons is None and weights is None:
            raise SchemeError(
                f"There is nothing to {what} ({format_heads(asked) or 'no head'} selected): select "
                f"at least one head that is {'kept' if what == 'remove' else 'removed'}."
            )
        step = Step(
            id=self.next_id,
            parent=self.current,
            what=what,
            heads=tuple(sorted(changed)),
            removed=removed ^ changed,
            method=method,
            settings=_plain(settings),
            seed=None if seed is None else int(seed),
            metrics=_plain(metrics),
            time=_time(time),
            note=note,
            weights=weights,
            learnt_from=learnt_from,
            neurons=changed_neurons,
            removed_neurons=neurons_after(what, changed_neurons, gone),
        )
        steps = (*self.steps, step)
        return replace(self, steps=steps, current=step.id, redo=(), next_id=step.id + 1)

    def _with_step(self, new: Step) -> Scheme:
        return replace(self, steps=tuple(new if old.id == new.id else old for old in self.steps))

    @cached_property
    def _by_id(self) -> dict[int, Step]:
        return {step.id: step for step in self.steps}

    # --- files -------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The text of a scheme file; a character that no file can hold becomes a question mark."""
        from bhpvas.scheme import schema

        document = {
            "format": schema.format_of(self.steps),
            "name": self.name,
            "model": self.model,
            "data": self.data,
            "geometry": {"layers": self.layers, "heads": self.heads},
            "current": self.current,
            "removed_heads": [str(head) for head in self.removed_heads],
            "redo": self.redo,
            "next_id": self.next_id,
            "steps": [schema.step_document(step) for step in self.steps],
            **schema.fingerprints_document(self.steps),
            **self.extra,
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        return text.encode("utf-8", "replace").decode("utf-8")

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "The file") -> Scheme:
        """The scheme in the text of a scheme file.

        Anything else raises :class:`SchemeError`, whose one sentence begins with ``source``.
        """
        from bhpvas.scheme import schema

        file, steps = schema.read(text, source)
        return cls(
            name=file.name,
            model=file.model.model_dump(),
            data=file.data,
            **vars(file.geometry),
            steps=steps,
            current=file.current,
            redo=tuple(file.redo),
            next_id=file.next_id,
            extra=file.model_extra or {},
        )

    def save(self, path: str | Path) -> None:
        """Write a scheme file: beside ``path`` first, then renamed, so never half a file.

        Raises :class:`SchemeError` where that is not possible; what stood there before stays.
        """
        try:
            write_beside(path, self.to_json().encode("utf-8"))
        except OSError as error:
            raise SchemeError(not_written(f"Scheme {self.name!r}", path, error)) from None

    def copy_weights(self, source: str | Path, target: str | Path) -> None:
        """Copy the weights of every recovery, so that the scheme can be saved in another folder.

        Raises :class:`SchemeError` where they are missing or cannot be written.
        """
        for weights in sorted({step.weights for step in self.steps if step.weights}):
            here, there = weights_file(source, weights), weights_file(target, weights)
            try:
                content = here.read_bytes()
            except OSError as error:
                raise SchemeError(
                    f"The weights {here} of scheme {self.name!r} cannot be read "
                    f"({error.strerror}): they stand beside the scheme file."
                ) from None
            try:
                if not (there.exists() and there.samefile(here)):
                    write_beside(there, content)
            except OSError as error:
                what = f"The weights {here.name} of scheme {self.name!r}"
                raise SchemeError(not_written(what, target, error)) from None


def load_scheme(path: str | Path) -> Scheme:
    """Read a scheme file; raises :class:`SchemeError` naming the file and what is wrong with it.

    >>> from tempfile import TemporaryDirectory
    >>> import bhpvas
    >>> scheme = bhpvas.Scheme.of(bhpvas.load_classifier()).removing(bhpvas.parse_heads("L0H3"))
    >>> with TemporaryDirectory() as folder:
    ...     scheme.save(f"{folder}/scheme.json")
    ...     bhpvas.load_scheme(f"{folder}/scheme.json") == scheme
    True
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SchemeError(
            f"The scheme file {path} cannot be read ({error.strerror}): check the path."
        ) from None
    return Scheme.from_json(content, source=str(path))


def _learnt_from(path: Path) -> LearntSentences | None:
    """What the current step of a scheme file learnt from; None where that cannot be known."""
    try:
        scheme = load_scheme(path)
    except SchemeError:
        return None
    unknown = any(step.origin_unknown for step in scheme.path())
    return None if unknown else scheme.learnt_at(scheme.current)


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """A deep copy as JSON gives it back: tuples as lists, NumPy values as Python's."""
    plain: dict[str, Any] = json.loads(
        json.dumps(dict(value or {}), default=lambda array: array.tolist(), allow_nan=False)
    )
    return plain


def _time(time: str | None) -> str:
    if time is None:
        return datetime.now(UTC).isoformat(timespec="seconds")
    datetime.fromisoformat(time)
    return time
