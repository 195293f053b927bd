"""A scheme in an address: short text that holds the tree of steps, the model and a sentence.

A link holds what was done and no numbers: whoever opens it measures again. It is compressed JSON,
so reading one is strict and bounded, and nothing in it is a path of weights.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Any, Literal

from bhpvas.errors import BhpvasError, LinkError
from bhpvas.heads import HeadId, format_heads, parse_heads
from bhpvas.scheme.scheme import Scheme

Split = Literal["evaluation", "calibration"]

VERSION = 1
#: Characters of a link: what browsers, mail and proxies carry with an address around it.
MOST_CHARACTERS = 4000
# What a link may unpack to, so that none fills the memory.
_MOST_BYTES = 64 * 1024
_MOST_SIZE = 1000


@dataclass(frozen=True)
class Link:
    """What a link holds. ``scheme`` has no metrics; ``model`` is None for the sample model.

    ``data`` is the fingerprint of the sentences that were measured on, and their name.
    ``row`` (split, place) or else ``text`` (sentence, pair) is the sentence that is read closely.
    """

    scheme: Scheme
    model: str | None = None
    data: tuple[str, str] | None = None
    row: tuple[Split, int] | None = None
    text: tuple[str, str | None] | None = None
    selected: frozenset[HeadId] = frozenset()

    def to_text(self) -> str:
        """The link; letters that an address takes as they are.

        Raises :class:`LinkError` where it would be longer than :data:`MOST_CHARACTERS`, and where
        weights were changed on the way to the current step, since no address holds those.
        """
        scheme = self.scheme
        if scheme.weights is not None:
            raise LinkError(
                "A recovery changed weights, which no address can hold: save the scheme as a file."
            )
        # A branch that ends in changed weights is left out from there on.
        places: dict[int, int] = {}
        steps: list[list[Any]] = []
        for step in scheme.steps:
            if step.what == "start":
                places[step.id] = 0
            elif step.what != "recover" and step.parent in places:
                places[step.id] = len(places)
                steps.append(
                    [
                        places[step.parent],
                        int(step.what == "restore"),
                        format_heads(step.heads),
                        step.method,
                        step.note,
                    ]
                )
        document = [
            VERSION,
            [self.model, scheme.model["fingerprint"], scheme.layers, scheme.heads],
            [format_heads(scheme.pruned), scheme.steps[0].note],
            scheme.name,
            steps,
            places[scheme.current],
            self.data,
            self.row,
            self.text,
            format_heads(self.selected),
        ]
        packed = zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 9)
        text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
        if len(text) > MOST_CHARACTERS:
            raise LinkError(
                f"The scheme takes {len(text):,} characters, and an address holds "
                f"{MOST_CHARACTERS:,}: save the scheme as a file."
            )
        return text

    @classmethod
    def from_text(cls, text: str) -> Link:
        """Read a link; raises :class:`LinkError` for anything else.

        >>> from bhpvas import HeadId, Scheme
        >>> about = {"id": "sample", "revision": None, "fingerprint": "f"}
        >>> scheme = Scheme.started(about, 2, 4).removing([HeadId(0, 3)])
        >>> str(Link.from_text(Link(scheme).to_text()).scheme.mask)
        'L0H3'
        """
        try:
            return _read(_document(text))
        except (
            AssertionError,
            BhpvasError,
            IndexError,
            KeyError,
            RecursionError,
            TypeError,
            ValueError,
            binascii.Error,
            zlib.error,
        ) as error:
            raise LinkError(
                "The link is damaged or of another version of bhpvas, so this is a fresh start: "
                "ask for it anew, and copy all of it."
            ) from error


def _document(text: str) -> list[Any]:
    if len(text) > MOST_CHARACTERS or not text.isascii():
        raise ValueError("longer than any link")
    packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(packed, _MOST_BYTES)
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("larger than any link")
    document = json.loads(content)
    if type(document) is not list or not _is_count(document[0]) or document[0] != VERSION:
        raise ValueError("another version")
    return document


def _read(document: list[Any]) -> Link:
    _, about, (pruned, remark), name, steps, current, data, row, text, selected = document
    model, fingerprint, layers, heads = about
    _require(model is None or _is_text(model), _is_text(fingerprint), _is_text(name))
    _require(_is_count(layers), _is_count(heads), 0 < layers <= _MOST_SIZE, 0 < heads <= _MOST_SIZE)
    scheme = Scheme.started(
        {"id": model or "sample", "revision": None, "fingerprint": fingerprint},
        layers,
        heads,
        name=name,
        pruned=_heads(pruned),
    )
    _require(_is_text(remark))
    scheme = scheme.noted(0, remark)
    for parent, restores, changed, method, note in steps:
        _require(_is_count(parent), restores in (0, 1), _is_text(method), _is_text(note))
        at, gone = scheme.at(parent), sorted(_heads(changed))
        scheme = (at.restoring if restores else at.removing)(gone, method, note=note)
    _require(_is_count(current))
    full = scheme.at(current)
    if data is not None:
        _require(type(data) is list, len(data) == 2, *map(_is_text, data))
    if row is not None:
        _require(
            type(row) is list,
            row[0] in ("evaluation", "calibration"),
            _is_count(row[1]),
            len(row) == 2,
        )
    if text is not None:
        _require(
            type(text) is list,
            _is_text(text[0]),
            text[1] is None or _is_text(text[1]),
            len(text) == 2,
        )
    chosen = _heads(selected)
    full.mask.without(chosen)  # no head is chosen that the model does not have
    return Link(
        scheme=full,
        model=model,
        data=None if data is None else (data[0], data[1]),
        row=None if row is None else (row[0], row[1]),
        text=None if text is None else (text[0], text[1]),
        selected=chosen,
    )


def _require(*facts: bool) -> None:
    if not all(facts):
        raise ValueError("no link says this")


def _is_text(value: object) -> bool:
    return type(value) is str and not any(0xD800 <= ord(letter) < 0xE000 for letter in value)


def _heads(value: Any) -> frozenset[HeadId]:
    _require(_is_text(value))
    return frozenset(parse_heads(value))


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
