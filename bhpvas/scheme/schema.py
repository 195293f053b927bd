"""Schema of a scheme file: what stands where in it, and which step can follow which.

Files are read by it, steps are written by it, and ``docs/schemas/scheme.json`` is what
``python -m bhpvas.scheme.schema`` prints. Reading is strict: each key must be there, of its type,
and agree with the others. Keys that this version doesn't know are kept, at the top, in a step and
inside "model", and are written back; a later version that changes what a known key means raises the
version number.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic import WithJsonSchema as Published
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from bhpvas.errors import HeadError, SchemeError
from bhpvas.heads import HeadId, format_heads
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.step import Step, What, changeable, changeable_neurons, neurons_after

# What a file may claim: far beyond any model, and the whole numbers that every JSON reader keeps.
_MOST_HEADS = 100_000
_BEYOND_IDS = 2**53
_MOST_NEURONS = 1_000_000
# Counted over all steps, each of which holds every head that is removed after it.
_MOST_REMOVED = 1_000_000


def _head(value: Any) -> HeadId:
    try:
        return HeadId.parse(value)
    except (AttributeError, ValueError):  # no text, or no head
        raise PydanticCustomError("head", "a head") from None


def _iso(time: str) -> str:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        raise PydanticCustomError("time", "an ISO 8601 time") from None
    return time


Count = Annotated[int, Field(ge=0, lt=_BEYOND_IDS)]
#: The hash that names a file of weights, so a name can never lead out of the scheme's folder.
Hash = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
_Head = Annotated[
    HeadId,
    PlainValidator(_head),
    Published({"type": "string", "pattern": "^L(0|[1-9][0-9]*)H(0|[1-9][0-9]*)$"}),
]
# Sorted, each head once. Whatever is wrong with one of many entries, the first ends the reading.
_Heads = Annotated[
    tuple[_Head, ...],
    Field(strict=False, fail_fast=True, json_schema_extra={"uniqueItems": True}),
    AfterValidator(lambda heads: tuple(sorted(set(heads)))),
]


def _learnt(text: Any) -> LearntSentences:
    try:
        return LearntSentences.from_text(text)
    except (TypeError, ValueError):
        raise PydanticCustomError("fingerprints", "fingerprints of sentences") from None


_Learnt = Annotated[
    LearntSentences, PlainValidator(_learnt), Published({"type": "string", "format": "base64"})
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Format(_Part):
    """What kind of file it is."""

    name: Literal["bhpvas-scheme"]
    version: int = Field(ge=1, le=2)  # a Literal would take true for 1


def format_of(steps: Iterable[Step]) -> dict[str, Any]:
    """The format of a file with these steps: version 2 where neurons go, which 1 knows nothing of,
    so that what knows version 1 alone does not read heads and leave the neurons out.
    """
    return {"name": "bhpvas-scheme", "version": 1 + any(step.neurons for step in steps)}


class Model(_Part):
    """The model that the scheme was made for."""

    id: str
    revision: str | None
    fingerprint: str = Field(json_schema_extra={"pattern": "^[0-9a-f]{16}$"})


class Geometry(_Part):
    """How many layers the model has, and how many heads each of them."""

    layers: int = Field(ge=1)
    heads: int = Field(ge=1)


class Neurons(_Part):
    """Feed-forward neurons: of each layer's ``width``, which."""

    width: int = Field(ge=1, le=_MOST_NEURONS)
    bits: list[Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]] = Field(
        fail_fast=True,
        description="For each layer hexadecimal digits whose bits say which neurons, the first one "
        "in the highest bit; empty where none.",
    )


class _Step(_Part):
    id: Count
    parent: Count | None
    what: What
    heads: _Heads
    method: str
    settings: dict[str, Any]
    seed: int | None
    metrics: dict[str, Any]
    time: Annotated[str, AfterValidator(_iso)]
    note: str
    learnt_from: Hash | None = Field(
        default=None,
        description="Which of the file's 'fingerprints' are of the sentences that this step learnt "
        "from; not there where none did, or where it is not known.",
    )


class Change(_Step):
    """Heads that went or came back; those of the start are heads that the model itself lacks."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["weights"]}})

    what: Literal["start", "remove", "restore"]
    neurons: Neurons | None = Field(
        default=None, description="Feed-forward neurons that went or came back; not there if none."
    )


class Recovery(_Step):
    """Weights that were changed, in a file beside the scheme, until a later step has its own."""

    what: Literal["recover"]
    heads: tuple[()] = Field(strict=False)
    weights: Hash


class File(_Part):
    """A scheme file. Keys that are not named here are kept by bhpvas as they are."""

    format: Format
    name: str
    model: Model
    data: dict[str, Any] | None = Field(description="What the metrics were measured on.")
    geometry: Geometry
    current: Count
    removed_heads: _Heads = Field(description="The heads removed at the current step.")
    redo: list[Count] = Field(description="The steps that redo goes through.", fail_fast=True)
    next_id: int = Field(ge=1, lt=_BEYOND_IDS, description="Of the next new step.")
    fingerprints: dict[Hash, _Learnt] = Field(
        default_factory=dict,
        description="Sentences that steps learnt from, each set named by its hash: base64 of their "
        "different fingerprints in ascending order, 6 bytes each, the highest first. A fingerprint "
        "is the BLAKE2b hash of a sentence's tokens (32 bits each, the lowest byte first) and "
        "token types (a byte each), read with its lowest byte first.",
    )
    steps: list[Annotated[Change | Recovery, Field(discriminator="what")]] = Field(
        min_length=1, fail_fast=True, description="Every step after its parent, the start first."
    )


def read(text: str | bytes, source: str) -> tuple[File, tuple[Step, ...]]:
    """The content of a scheme file, and its steps.

    Anything else raises :class:`SchemeError`, whose one sentence begins with ``source``.
    """
    try:
        file = File.model_validate(_document(text))
        return file, _replayed(file)
    except ValidationError as error:
        fault = _fault(error.errors(include_url=False)[0])
    except SchemeError as error:
        fault = str(error)
    raise SchemeError(
        f"{source} is no scheme that this version of bhpvas can open: {fault}; choose a file that "
        "it saved."
    )


def step_document(step: Step) -> dict[str, Any]:
    """A step as it stands in a file."""
    kind = Recovery if step.what == "recover" else Change
    known = {name: getattr(step, name) for name in kind.model_fields}
    for name in ("learnt_from", "neurons"):
        known.pop(name, None)
    if step.learnt_from is not None:
        known["learnt_from"] = step.learnt_from.name
    if step.neurons is not None:
        known["neurons"] = {"width": step.neurons.width, "bits": step.neurons.bits}
    return known | {"heads": [str(head) for head in step.heads]} | step.extra


def fingerprints_document(steps: Iterable[Step]) -> dict[str, dict[str, str]]:
    """The key "fingerprints" of a file, in which each set stands once; none without sentences."""
    learnt = dict.fromkeys(step.learnt_from for step in steps if step.learnt_from is not None)
    return {"fingerprints": {one.name: one.to_text() for one in learnt}} if learnt else {}


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


def _replayed(file: File) -> tuple[Step, ...]:
    """The steps, each with the heads that are removed after it.

    A :class:`SchemeError`, for what cannot be, is the middle of a sentence, as in :func:`_step`.
    """
    layers, heads = file.geometry.layers, file.geometry.heads
    if layers * heads > _MOST_HEADS:
        raise SchemeError(f"its 'geometry' {reprlib.repr(vars(file.geometry))} is that of no model")
    steps: dict[int, Step] = {}
    held = 0
    for number, record in enumerate(file.steps):
        place = f"step number {number}"
        unknown = [one for one in record.heads if not (one.layer < layers and one.head < heads)]
        if unknown:
            raise SchemeError(
                f"'heads' of {place} names '{unknown[0]}', no head of {layers} layers × {heads} "
                "heads"
            )
        learnt = _learnt_of(record, place, file.fingerprints)
        neurons = _neurons_of(record, place, layers)
        steps[record.id] = step = _step(record, place, steps, learnt, neurons)
        held += len(step.removed)
        if held > _MOST_REMOVED:
            raise SchemeError(f"its steps hold more than {_MOST_REMOVED:,} removed heads in all")
    if file.current not in steps:
        raise SchemeError(f"its current step {file.current} is none of its steps")
    before = file.current
    for step_id in file.redo:
        if step_id not in steps or steps[step_id].parent != before:
            raise SchemeError(f"its 'redo' leads to {step_id}, which is no step after {before}")
        before = step_id
    if max(steps) >= file.next_id:
        raise SchemeError(f"its 'next_id' {file.next_id} is not above the ids of its steps")
    if frozenset(file.removed_heads) != steps[file.current].removed:
        raise SchemeError(f"its 'removed_heads' are not those of its current step {file.current}")
    return tuple(steps.values())


def _learnt_of(
    record: Change | Recovery, place: str, known: dict[str, LearntSentences]
) -> LearntSentences | None:
    name = record.learnt_from
    if name is not None and (name not in known or known[name].name != name):
        raise SchemeError(f"{place} learnt from {name}, and its 'fingerprints' hold no such set")
    return None if name is None else known[name]


def _neurons_of(record: Change | Recovery, place: str, layers: int) -> NeuronSet | None:
    if isinstance(record, Recovery) or record.neurons is None:
        return None
    width, bits = record.neurons.width, record.neurons.bits
    try:
        found = NeuronSet.of_bits(width, bits)
    except HeadError:
        found = None
    if not found or len(bits) != layers:
        raise SchemeError(
            f"'neurons' of {place} are not those of {layers} layers with {width:,} neurons"
        )
    return found


def _step(
    record: Change | Recovery,
    place: str,
    earlier: dict[int, Step],
    learnt_from: LearntSentences | None,
    neurons: NeuronSet | None,
) -> Step:
    if record.id in earlier:
        raise SchemeError(f"{place} has the id {record.id}, which is already taken")
    if (record.what == "start") != (not earlier):
        raise SchemeError(f"'what' of {place} is {record.what!r}, which cannot stand there")
    if record.parent not in (earlier or (None,)):
        raise SchemeError(f"{place} has the parent {record.parent}, no step before it")
    changed, before, pruned = frozenset(record.heads), frozenset[HeadId](), frozenset[HeadId]()
    gone: NeuronSet | None = None
    lacking: NeuronSet | None = None
    if record.parent is not None:
        parent = earlier[record.parent]
        start = next(iter(earlier.values()))
        before, pruned = parent.removed, start.removed
        gone, lacking = parent.removed_neurons, start.removed_neurons
    possible = changeable(record.what, changed, before) - pruned
    if record.what in ("remove", "restore"):
        nothing = not changed and neurons is None
        if nothing or possible != changed:
            named = reprlib.repr(format_heads(changed))
            raise SchemeError(
                f"{place} cannot {record.what} the heads {named} of its parent {record.parent}"
            )
    if neurons is not None:
        fits, masked = gone is None or gone.width == neurons.width, gone
        if record.what == "restore" and gone is not None and lacking is not None:
            masked = gone - lacking
        if not fits or changeable_neurons(record.what, neurons, masked) != neurons:
            raise SchemeError(
                f"{place} cannot {record.what} the neurons {neurons} of its parent {record.parent}"
            )
    known = vars(record) | {"learnt_from": learnt_from, "neurons": neurons}
    return Step(
        **known,
        removed=before ^ changed,
        removed_neurons=neurons_after(record.what, neurons, gone),
        extra=record.model_extra or {},
    )


# What should stand there, by the type of pydantic's error; our own say it themselves.
_WANTED = {
    "int_type": "a whole number",
    "string_type": "text",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "an object"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    "greater_than_equal": "{ge} or more",
    "less_than": "a number below {lt}",
    "less_than_equal": "{le} or less",
    "literal_error": "{expected}",
    "union_tag_invalid": "{expected_tags}",
    "string_pattern_mismatch": "hexadecimal digits",
    "too_long": "an empty list",
    "too_short": "a list with an entry",
}


def _fault(error: ErrorDetails) -> str:
    """What is wrong with which entry, as the middle of a sentence."""
    place, value, kind = list(error["loc"]), error["input"], error["type"]
    if place[:1] == ["steps"]:
        del place[2:3]  # which of the kinds of steps it is read as
    if kind.startswith("union_tag"):
        place.append("what")
    if kind in ("missing", "union_tag_not_found"):
        return f"{_place(place[:-1])} has no {place[-1]!r}"
    if kind == "union_tag_invalid":
        value = value["what"]
    wanted = _WANTED.get(kind, error["msg"]).format_map(error.get("ctx", {}))
    return f"{_place(place)} is {reprlib.repr(value)} and not {wanted}"


def _place(parts: list[int | str]) -> str:
    names = [f"number {part}" if isinstance(part, int) else repr(part) for part in parts]
    if parts[:1] == ["steps"] and len(parts) > 1:
        names[:2] = [f"step {names[1]}"]
    return " of ".join(reversed(names)) or "the scheme"


class _Untitled(GenerateJsonSchema):
    """Without a title for every key, which says no more than the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def published() -> str:
    """The schema as it is published, in JSON."""
    schema = File.model_json_schema(schema_generator=_Untitled)
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "scheme"}
    return json.dumps(schema, indent=1) + "\n"


if __name__ == "__main__":
    print(published(), end="")
