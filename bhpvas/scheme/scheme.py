"""Schemes: every step by which heads were removed and restored, as a tree of immutable values.

A scheme starts with all heads. Removing or restoring heads, or a recovery, which changes weights
and no head, adds a step below the current one; undo, redo and :meth:`Scheme.at` only move along the
tree, so nothing that was measured is lost, and removing after an undo makes a branch. Every
transition returns a new scheme. Keeping the old value is therefore all that it takes to revoke a
transition, :meth:`Scheme.without_step` included.

A scheme file is JSON::

    format         {"name": "bhpvas-scheme", "version": 1}
    name           the scheme's name
    model          {"id", "revision" or null, "fingerprint"}
    data           what the metrics were measured on, or null
    geometry       {"layers", "heads"}
    current        id of the current step
    removed_heads  heads removed at the current step: ["L0H3", …]
    redo           ids of the steps that redo goes through, next one first
    next_id        id of the next new step; an id is never used twice
    steps          [{"id", "parent", "what", "heads", "method", "settings", "seed", "metrics",
                     "time", "note"}, …], every step after its parent, the first one "start",
                    whose heads are those that the model itself lacks: nothing restores them;
                    a step "recover" also has "weights", the hash that names the safetensors file
                    beside the scheme; it holds until a later step has its own

Reading is strict: each of these keys must be there, of its type, and agree with the others. Keys
that this version doesn't know are kept, at the top, in a step and inside "model", and are written
back; a later version that changes what a known key means raises the version number.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bhpvas.errors import SchemeError
from bhpvas.heads import HeadId, HeadMask, format_heads
from bhpvas.model.weights import load_weights, weights_file
from bhpvas.storage.files import not_written, write_beside

if TYPE_CHECKING:
    from bhpvas.model.classifier import Classifier

FORMAT = {"name": "bhpvas-scheme", "version": 1}
What = Literal["start", "remove", "restore", "recover"]

# What a file may claim: far beyond any model, and the whole numbers that every JSON reader keeps.
_MOST_HEADS = 100_000
_LARGEST_ID = 2**53
# Counted over all steps, each of which holds every head that is gone after it.
_MOST_REMOVED = 1_000_000
_LARGEST_METRIC = 1e30
# Metrics beside the accuracy that a step may have; an accuracy may lie so far beside its interval.
_MORE_METRICS = ("loss", "f1", "matthews", "parameters", "flops_per_sentence")
_HAIR = 1e-6
# A hash, so a name can never lead out of the scheme's folder.
_WEIGHTS = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Step:
    """One change of the mask: ``heads`` went or came back, after which ``removed`` are gone.

    A step "recover" changes no head; ``weights`` is the hash of what it changed, else None.
    ``settings``, ``metrics`` and ``extra`` are ready for JSON and never written to; ``extra`` holds
    what a later version of bhpvas wrote into the file. ``time`` is ISO 8601.
    """

    id: int
    parent: int | None
    what: What
    heads: tuple[HeadId, ...]
    removed: frozenset[HeadId]
    method: str
    settings: dict[str, Any] = field(hash=False)
    seed: int | None
    metrics: dict[str, Any] = field(hash=False)
    time: str
    note: str = ""
    weights: str | None = None
    extra: dict[str, Any] = field(default_factory=dict, hash=False)

    def measured_on(self, data: str) -> bool:
        """Whether ``metrics`` are whole, and of the sentences with this fingerprint.

        A file may say anything there. What no evaluation would say counts as not measured.
        """
        known = self.metrics
        interval: Any = known.get("accuracy_interval")
        if known.get("data_fingerprint") != data or not _are_numbers(interval, 2):
            return False
        more = [known[name] for name in _MORE_METRICS if known.get(name) is not None]
        if not _are_numbers([known.get("n"), known.get("accuracy"), *more]):
            return False
        low, high = interval
        inside = -_HAIR <= low <= known["accuracy"] + _HAIR
        return known["n"] >= 1 and inside and known["accuracy"] - _HAIR <= high <= 1 + _HAIR


def _are_numbers(values: Any, count: int | None = None) -> bool:
    """Whether these are (so many) numbers that can be written and drawn."""
    return (
        isinstance(values, list)
        and count in (None, len(values))
        and all(type(one) in (int, float) and abs(one) <= _LARGEST_METRIC for one in values)
    )


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
    ) -> Scheme:
        """A scheme with every head kept that is not ``pruned`` from the model.

        ``model`` has the keys id, revision and fingerprint.
        """
        start = Step(
            0, None, "start", tuple(sorted(pruned)), pruned, "", {}, None, _plain(metrics),
            _time(time),
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
        """A scheme with every head that a classifier has kept."""
        return cls.started(
            {
                "id": classifier.source,
                "revision": classifier.revision,
                "fingerprint": classifier.fingerprint,
            },
            classifier.geometry.layers,
            classifier.geometry.heads,
            name=name,
            data=data,
            metrics=metrics,
            time=time,
            pruned=classifier.geometry.pruned,
        )

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
        return HeadMask(self.layers, self.heads, self.step(step_id).removed, self.pruned)

    @property
    def pruned(self) -> frozenset[HeadId]:
        """The heads that the model never had: those of the start."""
        return self.steps[0].removed

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
        method: str = "by hand",
        settings: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        note: str = "",
        time: str | None = None,
    ) -> Scheme:
        """A step that removes those of ``heads`` which are still kept; it becomes the current one.

        Raises :class:`HeadError` for a head that the model lacks and :class:`SchemeError` where
        none of the heads is kept.
        """
        return self._stepping("remove", heads, method, settings, metrics, seed, note, time)

    def restoring(
        self,
        heads: Iterable[HeadId],
        method: str = "by hand",
        settings: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        note: str = "",
        time: str | None = None,
    ) -> Scheme:
        """A step that restores those of ``heads`` which are removed; it becomes the current one.

        Raises :class:`HeadError` for a head that the model lacks and :class:`SchemeError` where
        none of the heads is removed.
        """
        return self._stepping("restore", heads, method, settings, metrics, seed, note, time)

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
    ) -> Scheme:
        """A step that changes weights and no head; it becomes the current one.

        ``weights`` is the hash that names their file; the file itself is not the scheme's to write.
        """
        assert _WEIGHTS.fullmatch(weights), weights
        step = Step(
            id=self.next_id,
            parent=self.current,
            what="recover",
            heads=(),
            removed=self.mask.removed,
            method=method,
            settings=_plain(settings),
            seed=None if seed is None else int(seed),
            metrics=_plain(metrics),
            time=_time(time),
            note=note,
            weights=weights,
        )
        return self._with_new(step)

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
        gone = self.subtree(step_id)
        moved = self.at(parent) if self.current in gone else self
        return replace(
            moved,
            steps=tuple(step for step in self.steps if step.id not in gone),
            redo=tuple(takewhile(lambda step: step not in gone, moved.redo)),
        )

    def rejoined(self, steps: Iterable[Step]) -> Scheme:
        """Deleted steps put back; their ids are free, since an id is never used twice.

        Raises :class:`SchemeError` where the step before one of them is gone, too.
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
    ) -> Scheme:
        asked = HeadMask(self.layers, self.heads, frozenset(heads)).removed
        removed = self.mask.removed
        changed = _changeable(what, asked, removed) - self.pruned
        if not changed:
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
        )
        return self._with_new(step)

    def _with_new(self, step: Step) -> Scheme:
        return replace(
            self, steps=(*self.steps, step), current=step.id, redo=(), next_id=step.id + 1
        )

    def _with_step(self, new: Step) -> Scheme:
        return replace(self, steps=tuple(new if old.id == new.id else old for old in self.steps))

    @cached_property
    def _by_id(self) -> dict[int, Step]:
        return {step.id: step for step in self.steps}

    # --- files -------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The text of a scheme file; a character that no file can hold becomes a question mark."""
        document = {
            "format": FORMAT,
            "name": self.name,
            "model": self.model,
            "data": self.data,
            "geometry": {"layers": self.layers, "heads": self.heads},
            "current": self.current,
            "removed_heads": [str(head) for head in self.removed_heads],
            "redo": list(self.redo),
            "next_id": self.next_id,
            "steps": [
                {
                    "id": step.id,
                    "parent": step.parent,
                    "what": step.what,
                    "heads": [str(head) for head in step.heads],
                    "method": step.method,
                    "settings": step.settings,
                    "seed": step.seed,
                    "metrics": step.metrics,
                    "time": step.time,
                    "note": step.note,
                    **({} if step.weights is None else {"weights": step.weights}),
                    **step.extra,
                }
                for step in self.steps
            ],
            **self.extra,
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        return text.encode("utf-8", "replace").decode("utf-8")

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "The file") -> Scheme:
        """The scheme in the text of a scheme file.

        Anything else raises :class:`SchemeError`, whose one sentence begins with ``source``.
        """
        try:
            return _scheme(_document(text))
        except SchemeError as error:
            raise SchemeError(
                f"{source} is no scheme that this version of bhpvas can open: {error}; choose a "
                "file that it saved."
            ) from None

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


def _changeable(
    what: str, asked: frozenset[HeadId], removed: frozenset[HeadId]
) -> frozenset[HeadId]:
    """Those of the heads asked for that a removal or a restoring changes."""
    return asked & removed if what == "restore" else asked - removed


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


# --- reading a file: each function's SchemeError is the middle of from_json's sentence ------------

_Fields = dict[str, tuple[type, ...]]
_NULL = type(None)
_KINDS = {int: "a whole number", str: "text", dict: "an object", list: "a list", _NULL: "null"}
_FORMAT: _Fields = {"name": (str,), "version": (int,)}
_MODEL: _Fields = {"id": (str,), "revision": (str, _NULL), "fingerprint": (str,)}
_GEOMETRY: _Fields = {"layers": (int,), "heads": (int,)}
_SCHEME: _Fields = {
    "format": (dict,),
    "name": (str,),
    "model": (dict,),
    "data": (dict, _NULL),
    "geometry": (dict,),
    "current": (int,),
    "removed_heads": (list,),
    "redo": (list,),
    "next_id": (int,),
    "steps": (list,),
}
_STEP: _Fields = {
    "id": (int,),
    "parent": (int, _NULL),
    "what": (str,),
    "heads": (list,),
    "method": (str,),
    "settings": (dict,),
    "seed": (int, _NULL),
    "metrics": (dict,),
    "time": (str,),
    "note": (str,),
}


def _document(text: str | bytes) -> Any:
    try:
        document = json.loads(text)
        # Python reads NaN, 1e999 and half a surrogate pair; no file may hold them.
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise SchemeError(
            f"it is not JSON from line {error.lineno}, column {error.colno}, on"
        ) from None
    except (ValueError, RecursionError):
        raise SchemeError("it holds bytes, numbers or nesting that JSON does not allow") from None
    return document


def _checked(value: Any, fields: _Fields, place: str) -> dict[str, Any]:
    """``value``, if it is an object with these fields, each of one of its kinds."""
    if type(value) is not dict:
        raise SchemeError(f"{place} is {reprlib.repr(value)} and not an object")
    for key, kinds in fields.items():
        if key not in value:
            raise SchemeError(f"{place} has no {key!r}")
        if type(value[key]) not in kinds:
            expected = " or ".join(_KINDS[kind] for kind in kinds)
            raise SchemeError(
                f"{key!r} of {place} is {reprlib.repr(value[key])} and not {expected}"
            )
    return value


def _extra(value: dict[str, Any], fields: _Fields) -> dict[str, Any]:
    return {key: entry for key, entry in value.items() if key not in fields}


def _scheme(document: Any) -> Scheme:
    if type(document) is not dict or "format" not in document:
        raise SchemeError("it has no 'format'")
    written = _checked(document["format"], _FORMAT, "'format'")
    if any(written[key] != FORMAT[key] for key in FORMAT):
        raise SchemeError(
            f"its format is {reprlib.repr(written['name'])} version "
            f"{reprlib.repr(written['version'])} and not {FORMAT['name']!r} version "
            f"{FORMAT['version']}"
        )
    top = _checked(document, _SCHEME, "the scheme")
    model = _checked(top["model"], _MODEL, "'model'")
    geometry = _checked(top["geometry"], _GEOMETRY, "'geometry'")
    layers, heads = geometry["layers"], geometry["heads"]
    if min(layers, heads) < 1 or layers * heads > _MOST_HEADS:
        raise SchemeError(f"its 'geometry' {reprlib.repr(geometry)} is that of no model")
    every_head = HeadMask(layers, heads)

    steps: dict[int, Step] = {}
    held = 0
    for position, entry in enumerate(top["steps"]):
        step = _step(entry, f"step number {position}", steps, every_head)
        steps[step.id] = step
        held += len(step.removed)
        if held > _MOST_REMOVED:
            raise SchemeError(f"its steps hold more than {_MOST_REMOVED:,} removed heads in all")
    _check_places(top, steps)
    removed = _heads(top["removed_heads"], "'removed_heads'", every_head)
    if removed != steps[top["current"]].removed:
        raise SchemeError(f"its 'removed_heads' are not those of its current step {top['current']}")
    return Scheme(
        name=top["name"],
        model=model,
        data=top["data"],
        layers=layers,
        heads=heads,
        steps=tuple(steps.values()),
        current=top["current"],
        redo=tuple(top["redo"]),
        next_id=top["next_id"],
        extra=_extra(top, _SCHEME),
    )


def _check_places(top: dict[str, Any], steps: dict[int, Step]) -> None:
    """Refuse a current step, a redo path or a next id that the steps don't allow."""
    if top["current"] not in steps:
        raise SchemeError(f"its current step {reprlib.repr(top['current'])} is none of its steps")
    before = top["current"]
    for step_id in top["redo"]:
        if type(step_id) is not int or step_id not in steps or steps[step_id].parent != before:
            raise SchemeError(
                f"its 'redo' leads to {reprlib.repr(step_id)}, which is no step after {before}"
            )
        before = step_id
    if not max(steps) < top["next_id"] <= _LARGEST_ID:
        raise SchemeError(
            f"its 'next_id' {reprlib.repr(top['next_id'])} is not above the ids of its steps"
        )


def _step(value: Any, place: str, earlier: dict[int, Step], every_head: HeadMask) -> Step:
    entry = _checked(value, _STEP, place)
    recovers = entry["what"] == "recover"
    fields = {**_STEP, "weights": (str,)} if recovers else _STEP
    _checked(value, fields, place)
    step_id, what, parent = entry["id"], entry["what"], entry["parent"]
    changed = _heads(entry["heads"], f"'heads' of {place}", every_head)
    if step_id < 0 or step_id in earlier:
        raise SchemeError(f"{place} has the id {reprlib.repr(step_id)}, negative or already taken")
    if what not in get_args(What) or (what == "start") != (not earlier):
        raise SchemeError(f"'what' of {place} is {reprlib.repr(what)}, which cannot stand there")
    before: frozenset[HeadId] = frozenset()
    if what == "start":
        if parent is not None:
            raise SchemeError("its start has a parent")
    else:
        if parent not in earlier:
            raise SchemeError(f"{place} has the parent {reprlib.repr(parent)}, no step before it")
        before = earlier[parent].removed
        if recovers and changed:
            raise SchemeError(f"{place} recovers, and yet names heads")
        if recovers and not _WEIGHTS.fullmatch(entry["weights"]):
            raise SchemeError(
                f"'weights' of {place} is {reprlib.repr(entry['weights'])} and no hash"
            )
        pruned = next(iter(earlier.values())).removed
        possible = _changeable(what, changed, before) - pruned
        if not recovers and (not changed or possible != changed):
            named = reprlib.repr(format_heads(changed))
            raise SchemeError(f"{place} cannot {what} the heads {named} of its parent {parent}")
    try:
        datetime.fromisoformat(entry["time"])
    except ValueError:
        raise SchemeError(
            f"'time' of {place} is {reprlib.repr(entry['time'])}, no ISO 8601 time"
        ) from None
    return Step(
        id=step_id,
        parent=parent,
        what=what,
        heads=tuple(sorted(changed)),
        removed=before ^ changed,
        method=entry["method"],
        settings=entry["settings"],
        seed=entry["seed"],
        metrics=entry["metrics"],
        time=entry["time"],
        note=entry["note"],
        weights=entry["weights"] if recovers else None,
        extra=_extra(entry, fields),
    )


def _heads(names: list[Any], place: str, every_head: HeadMask) -> frozenset[HeadId]:
    heads: set[HeadId] = set()
    for name in names:
        try:
            heads |= every_head.without([HeadId.parse(name)]).removed
        except (AttributeError, ValueError):  # no text, or no head of this model
            raise SchemeError(
                f"{place} names {reprlib.repr(name)}, no head of {every_head.layers} layers × "
                f"{every_head.heads} heads"
            ) from None
    return frozenset(heads)
