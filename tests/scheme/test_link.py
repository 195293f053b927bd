"""A scheme in an address: it comes back whole, is short, and nonsense is one sentence."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bhpvas.errors import LinkError
from bhpvas.heads import HeadId
from bhpvas.scheme import link as links
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.link import MOST_CHARACTERS, Link
from bhpvas.scheme.scheme import Scheme
from tests.scheme.trees import MOVES, grown

ABOUT = {"id": "sample", "revision": None, "fingerprint": "abc"}
TEXT = some.text(max_size=40)


def started(**given: Any) -> Scheme:
    return Scheme.started(ABOUT, 2, 4, **given)


def shape(scheme: Scheme) -> list[Any]:
    """What a link keeps of a scheme, by the places of the steps."""
    places = {step.id: place for place, step in enumerate(scheme.steps)}
    return [
        (places.get(step.parent), step.what, step.heads, step.removed, step.method, step.note)
        for step in scheme.steps
    ] + [places[scheme.current], scheme.name, scheme.layers, scheme.heads]


@given(
    moves=MOVES.map(lambda moves: [move for move in moves if move[0] != "recover"]),
    name=TEXT.filter(str.strip),
    row=some.none() | some.tuples(some.sampled_from(["evaluation", "calibration"]), some.just(3)),
    text=some.none() | some.tuples(TEXT, some.none() | TEXT),
    data=some.none() | some.tuples(TEXT, TEXT),
)
def test_what_a_link_holds_comes_back(
    moves: list[tuple[str, int]], name: str, row: Any, text: Any, data: Any
) -> None:
    scheme = grown(started(name=name), moves).noted(0, "why\nnot")
    link = Link(scheme, "owner/model", data, row, text, frozenset({HeadId(1, 2)}))
    found = Link.from_text(link.to_text())
    assert shape(found.scheme) == shape(replace(scheme, redo=()))
    assert replace(found, scheme=scheme) == link
    assert found.scheme.model["fingerprint"] == "abc"


def test_a_link_holds_a_large_scheme_of_a_large_model() -> None:
    scheme = Scheme.started(ABOUT, 24, 16)
    for layer in range(24):
        scheme = scheme.removing([HeadId(layer, head) for head in range(0, 16, 2)])
    assert len(Link(scheme).to_text()) < 1000


def test_heads_that_a_model_lacks_stay_absent() -> None:
    scheme = started(pruned=frozenset({HeadId(0, 0)})).removing([HeadId(0, 1)])
    assert Link.from_text(Link(scheme).to_text()).scheme.mask == scheme.mask
    assert Link.from_text(Link(scheme).to_text()).scheme.pruned == scheme.pruned


def test_a_scheme_beyond_an_address_is_a_sentence() -> None:
    scheme = started()
    for number in range(400):
        noted = scheme.removing([HeadId(0, number % 4)])
        scheme = noted.noted(noted.current, f"{number * 7919:x}").restoring([HeadId(0, number % 4)])
    with pytest.raises(LinkError, match="save the scheme as a file"):
        Link(scheme).to_text()


def test_changed_weights_are_in_no_link() -> None:
    scheme = started().removing([HeadId(0, 1)]).recovered("0" * 16, "compensate")
    with pytest.raises(LinkError, match="weights"):
        Link(scheme).to_text()
    with pytest.raises(LinkError, match="weights"):
        Link(scheme.removing([HeadId(0, 2)])).to_text()
    back = Link.from_text(Link(scheme.undone()).to_text()).scheme
    assert (len(back.steps), str(back.mask)) == (2, "L0H1")


def packed(document: Any) -> str:
    content = zlib.compress(json.dumps(document).encode())
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


GOOD = [
    1,
    [None, "f", 2, 4],
    ["", ""],
    "main",
    [[0, 0, "L0H1", "by hand", ""]],
    1,
    None,
    None,
    None,
    "",
]


def changed(place: int, value: Any) -> list[Any]:
    return [*GOOD[:place], value, *GOOD[place + 1 :]]


def test_the_example_of_a_link_is_good() -> None:
    assert str(Link.from_text(packed(GOOD)).scheme.mask) == "L0H1"


BAD = [
    *(changed(0, value) for value in (0, 2, "1", None, True, [1])),
    *(changed(1, value) for value in (None, [], [1, "f", 2, 4], [None, 3, 2, 4], {"a": 1})),
    *(changed(1, [None, "f", *size]) for size in ([0, 4], [2, 0], [10**6, 1], [2.0, 4], [True, 4])),
    *(changed(2, [value, ""]) for value in ("L9H9", "no head", 3, None, ["L0H1"])),
    *(changed(2, value) for value in ("", [""], ["", 3], ["", None], None)),
    *(changed(3, value) for value in (None, 3, ["main"], {}, "\ud800")),
    *(changed(4, [value]) for value in (None, [], [0, 0, "L0H1", "x"], [9, 0, "L0H1", "x", ""])),
    *(changed(4, [[0, 2, "L0H1", "x", ""]]) for _ in "a"),
    *(changed(4, [[0, 1, "L0H1", "x", ""]]) for _ in "a"),
    *(changed(4, [[0, 0, heads, "x", ""]]) for heads in ("", "L2H0", "L0H4", "L-1H0", "x", None)),
    *(changed(4, [[0, 0, "L0H1", method, ""]]) for method in (None, 3, ["x"], {})),
    *(changed(4, [[-1, 0, "L0H1", "x", note]]) for note in ("", None, 3)),
    *(changed(4, [[0, 0, "L0H1", "x", "", name]]) for name in ("", 3, None, "0" * 15, "x" * 16)),
    changed(4, [[0, 0, "L0H1", "x", "", "0" * 16, ""]]),
    *(changed(5, value) for value in (2, -1, None, "0", 1.0, True)),
    *(changed(6, value) for value in (3, "ab", ["a"], ["a", 3], ["a", "b", "c"])),
    *(changed(7, value) for value in (3, ["test", 1], ["evaluation", -1], ["evaluation", 1.5])),
    *(changed(8, value) for value in (3, [3, None], ["a", 3], ["a"])),
    *(changed(9, value) for value in (3, None, "L9H9", "all")),
    *(GOOD[:length] for length in range(10)),
    [*GOOD, 1],
    *({}, None, "link", 3, {"format": 1}),
]


@pytest.mark.parametrize("document", BAD, ids=range(len(BAD)))
def test_a_link_that_says_what_none_does_is_one_sentence(document: Any) -> None:
    with pytest.raises(LinkError, match="damaged or of another version"):
        Link.from_text(packed(document))


NOISE = [
    "",
    "=",
    "a",
    "%00",
    "../../etc/passwd",
    "javascript:alert(1)",
    "<script>",
    "ä",
    "😀" * 10,
    "A" * (MOST_CHARACTERS + 1),
    packed(GOOD)[:-3],
    packed(GOOD)[3:],
    packed(GOOD) + "AAAA",
    packed(GOOD).swapcase(),
    base64.urlsafe_b64encode(json.dumps(GOOD).encode()).decode(),
    base64.urlsafe_b64encode(zlib.compress(b"\xff\xfe")).decode(),
    base64.urlsafe_b64encode(zlib.compress(b"[" * 50_000)).decode(),
    base64.urlsafe_b64encode(zlib.compress(b"1" * 6_000)).decode(),
    base64.urlsafe_b64encode(zlib.compress(b" " * 2_000_000, 9)).decode(),
    base64.urlsafe_b64encode(zlib.compress(b"[1,NaN]")).decode(),
]


@pytest.mark.parametrize("text", NOISE, ids=range(len(NOISE)))
def test_noise_is_one_sentence(text: str) -> None:
    with pytest.raises(LinkError, match="damaged or of another version"):
        Link.from_text(text)


@given(
    text=some.text(max_size=60)
    | some.binary(max_size=60).map(
        lambda content: base64.urlsafe_b64encode(zlib.compress(content)).decode()
    )
)
def test_no_text_is_a_traceback(text: str) -> None:
    try:
        Link.from_text(text)
    except LinkError:
        return
    raise AssertionError("noise was read as a link")


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(b"\0" * 2_500_000, 9)
    text = base64.urlsafe_b64encode(bomb).decode()
    assert len(text) < MOST_CHARACTERS
    unpacking = zlib.decompressobj()
    assert len(unpacking.decompress(bomb, links._MOST_BYTES)) == links._MOST_BYTES
    with pytest.raises(LinkError):
        Link.from_text(text)


LEARNT, OTHER, NOTHING = (LearntSentences.of(prints) for prints in ([3, 5], [3], []))


@pytest.mark.parametrize("method", ["importance", "by hand", "random"])
def test_what_steps_learnt_from_is_known_again_to_whoever_has_the_sentences(method: str) -> None:
    scheme = started().removing([HeadId(0, 1)], method, learnt_from=LEARNT)
    scheme = scheme.removing([HeadId(0, 2)]).restoring([HeadId(0, 1)], method, learnt_from=LEARNT)
    found = Link.from_text(Link(scheme).to_text())
    assert [step.learnt_from for step in found.scheme.steps] == [None] * 4
    told = found.knowing([OTHER, LEARNT])
    assert [step.learnt_from for step in told.steps] == [None, LEARNT, None, LEARNT]
    assert [step.method for step in told.steps] == [step.method for step in scheme.steps]
    assert Link(told).to_text() == Link(scheme).to_text()
    for lost in ([], [OTHER]):
        unknown = found.knowing(lost)
        assert [step.origin_unknown for step in unknown.steps] == [False, True, False, True]


def test_what_learnt_from_nothing_is_known_by_any_link() -> None:
    scheme = started().removing([HeadId(0, 1)], "random", learnt_from=NOTHING)
    told = Link.from_text(Link(scheme).to_text()).knowing([])
    assert told.steps[1].learnt_from == NOTHING and not told.steps[1].origin_unknown


def test_an_older_link_opens() -> None:
    scheme = started().removing([HeadId(0, 1)], "importance").removing([HeadId(0, 2)])
    older = Link.from_text(Link(scheme).to_text()).knowing([LEARNT])
    assert [step.origin_unknown for step in older.steps] == [False, True, False]
