"""Schemes of a tiny model, and strategies for what stands in them."""

from typing import Any

from hypothesis import strategies as st

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, parse_heads
from bhpvas.scheme.scheme import Scheme

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


def grown(scheme: Scheme, moves: list[tuple[str, int]]) -> Scheme:
    """The scheme after moves, those that it cannot make left out."""
    for what, number in moves:
        head = HeadId(number % 2, number % 4)
        try:
            if what == "remove":
                scheme = scheme.removing([head], "by hand", metrics={"accuracy": 0.5})
            elif what == "recover":
                scheme = scheme.recovered(f"{number:016x}", "compensate")
            else:
                scheme = scheme.undone()
        except BhpvasError:  # that head is gone already
            continue
    return scheme


MOVES = st.lists(
    st.tuples(st.sampled_from(["remove", "remove", "recover", "undo"]), st.integers(0, 7)),
    max_size=8,
)


def is_one_sentence(message: str) -> bool:
    return message.endswith(".") and "\n" not in message and ". " not in message
