"""Link to a scheme: short text for an address, with the tree of steps, the model and a sentence.

A link holds what was done and no numbers: whoever opens it measures again. Of the sentences that
steps learnt from it holds the hash, by which whoever has the sentences knows them. It is compressed
JSON, so reading one is strict and bounded, and nothing in it is a path of weights.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from bhpvas.data.dataset import Split
from bhpvas.errors import LinkError
from bhpvas.heads import HeadId, format_heads, parse_heads
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.schema import Count, Hash
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import BY_HAND, Step

VERSION = 1
#: Characters of a link: what browsers, mail and proxies carry with an address around it.
MOST_CHARACTERS = 4000
# What a link may unpack to, so that none fills the memory.
_MOST_BYTES = 64 * 1024
_MOST_SIZE = 1000
# Methods that learn from no sentence by themselves, and what they are where they did.
_LEARNING = {BY_HAND: "choice on other sentences", "random": "random within a drop"}


@dataclass(frozen=True)
class Link:
    """What a link holds. ``scheme`` has no metrics; ``model`` is None for the sample model.

    ``data`` is the fingerprint of the sentences that were measured on, and their name.
    ``row`` (split, place) or else ``text`` (sentence, pair) is the sentence that is read closely.
    ``learnt`` are, in a link that was read, the ids of the steps that say what they learnt from,
    with the name of these sentences.
    """

    scheme: Scheme
    model: str | None = None
    data: tuple[str, str] | None = None
    row: tuple[Split, int] | None = None
    text: tuple[str, str | None] | None = None
    selected: frozenset[HeadId] = frozenset()
    learnt: tuple[tuple[int, str], ...] = ()

    def knowing(self, sentences: Iterable[LearntSentences]) -> Scheme:
        """The scheme with what its steps learnt from, as far as it is among some sets of sentences.

        Of any other set it is not known, and where the method does not say by itself that it learnt
        from any, its name does from here on.
        """
        known = {one.name: one for one in (*sentences, LearntSentences.of(()))}
        named = dict(self.learnt)

        def told(step: Step) -> Step:
            learnt = known.get(named.get(step.id, ""))
            method = step.method
            if step.id in named and learnt is None:
                method = _LEARNING.get(method, method)
            return replace(step, learnt_from=learnt, method=method)

        return replace(self.scheme, steps=tuple(map(told, self.scheme.steps)))

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
        if any(step.neurons for step in scheme.path()):
            raise LinkError(
                "Feed-forward neurons are removed, which no address can hold: save the scheme as a "
                "file."
            )
        # A branch that ends in changed weights, or has lost neurons, is left out from there on.
        start, *later = scheme.steps
        places, steps = {start.id: 0}, []
        for step in later:
            told = step.what != "recover" and step.neurons is None
            if told and step.parent in places:
                places[step.id] = len(places)
                change: list[Any] = [places[step.parent], int(step.what == "restore")]
                change += [format_heads(step.heads), step.method, step.note]
                learnt = step.learnt_from
                steps.append(change if learnt is None else [*change, learnt.name])
        document = [
            VERSION,
            [self.model, scheme.model["fingerprint"], scheme.layers, scheme.heads],
            [format_heads(scheme.pruned), start.note],
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
            return _read(_unpacked(text))
        except (ValueError, zlib.error) as error:
            raise LinkError(
                "The link is damaged or of another version of bhpvas, so this is a fresh start: "
                "ask for it anew, and copy all of it."
            ) from error


_Heads = Annotated[str, AfterValidator(lambda text: frozenset(parse_heads(text)))]
_Size = Annotated[int, Field(ge=1, le=_MOST_SIZE)]
_Restores = Annotated[int, Field(ge=0, le=1)]
# The one before it, whether it restores, heads, method, note, and what it learnt from, if known.
_Step = tuple[Count, _Restores, _Heads, str, str] | tuple[Count, _Restores, _Heads, str, str, Hash]
# What `to_text` packs. A step names the one before it by its place, and so is the current one.
_DOCUMENT: TypeAdapter[Any] = TypeAdapter(
    tuple[
        Annotated[int, Field(ge=VERSION, le=VERSION)],
        tuple[str | None, str, _Size, _Size],
        tuple[_Heads, str],
        str,
        list[_Step],
        Count,
        tuple[str, str] | None,
        tuple[Split, Count] | None,
        tuple[str, str | None] | None,
        _Heads,
    ],
    config=ConfigDict(strict=True),
)


def _unpacked(text: str) -> bytes:
    if len(text) > MOST_CHARACTERS or not text.isascii():
        raise ValueError("longer than any link")
    packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(packed, _MOST_BYTES)
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("larger than any link")
    return content


def _read(content: bytes) -> Link:
    _, about, (pruned, remark), name, steps, *rest = _DOCUMENT.validate_json(content)
    model, fingerprint, layers, heads = about
    current, data, row, text, selected = rest
    of = {"id": model or "sample", "revision": None, "fingerprint": fingerprint}
    scheme = Scheme.started(of, layers, heads, name=name, pruned=pruned).noted(0, remark)
    learnt = []
    for parent, restores, changed, method, note, *sentences in steps:
        at = scheme.at(parent)
        scheme = (at.restoring if restores else at.removing)(changed, method, note=note)
        learnt += [(scheme.current, name) for name in sentences]
    scheme = scheme.at(current)
    scheme.mask.without(selected)  # no head is chosen that the model does not have
    return Link(scheme, model, data, row, text, selected, tuple(learnt))
