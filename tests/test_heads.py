"""Heads and masks: reading, writing, and being values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.errors import HeadError
from bhpvas.heads import HeadId, HeadMask, format_heads, parse_heads

HEADS = st.builds(HeadId, st.integers(0, 5), st.integers(0, 11))


@given(st.sets(HEADS))
def test_printing_and_parsing_are_inverse(heads):
    mask = HeadMask(6, 12, frozenset(heads))
    assert HeadMask.parse(str(mask), 6, 12) == mask
    assert set(parse_heads(format_heads(heads))) == heads
    assert HeadMask.from_array(mask.array) == mask


@given(st.sets(HEADS), st.sets(HEADS))
def test_removing_and_restoring(first, second):
    mask = HeadMask(6, 12, frozenset(first))
    assert mask.without(second).removed == first | second
    assert mask.without(second).restored(second).removed == first - second
    assert mask.kept_count + len(first) == 72 == len(list(mask)) + len(first)
    assert sum(mask.kept_per_layer) == mask.kept_count


def test_masks_are_values():
    one, other = HeadMask.parse("L0H3,L5H11", 6, 12), HeadMask.parse(" l5h11, L0H3 ", 6, 12)
    assert one == other and hash(one) == hash(other) and {one: 1}[other] == 1
    assert str(one) == "L0H3,L5H11"
    with pytest.raises(ValueError, match="read-only"):
        one.array[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        one.kept[0, 0] = False
    with pytest.raises(AttributeError):
        one.layers = 3


def test_a_head_of_several_layers_is_named_at_once():
    assert format_heads(parse_heads("L1-3H2, l0h0,L2H2")) == "L0H0,L1H2,L2H2,L3H2"
    assert parse_heads("L4-4H1") == (HeadId(4, 1),)


@given(st.sets(HEADS), st.integers(0, 5))
def test_what_layers_have_in_common(heads, split):
    mask = HeadMask(6, 12, frozenset(heads))
    groups = [tuple(range(split)), tuple(range(split, 6))]
    every = {
        HeadId(layer, head)
        for group in groups
        for head in range(12)
        if all(HeadId(one, head) in heads for one in group)
        for layer in group
    }
    assert mask.common(groups).removed == every
    assert mask.common([(layer,) for layer in range(6)]) == mask.common([]) == mask


@pytest.mark.parametrize(
    "text",
    ["3.7", "L3", "LH", "L-1H2", "L3H7;L2H1", "L3H7 L2H1", "head", "L3-1H0", "L0-H1", "L0-2"],
)
def test_text_that_names_no_head_is_named(text):
    with pytest.raises(HeadError, match="names no head"):
        parse_heads(text)


@pytest.mark.parametrize("text", ["L6H0", "L0H12", "L99H99"])
def test_a_head_outside_the_geometry_is_named(text):
    with pytest.raises(HeadError, match=rf"{text} does not exist: .* layers 0 to 5"):
        HeadMask.parse(text, 6, 12)


def test_gates_are_zero_where_removed():
    mask = HeadMask.parse("L1H2", 2, 3)
    np.testing.assert_array_equal(mask.kept, [[True, True, True], [True, True, False]])
    np.testing.assert_array_equal(mask.array, mask.kept.astype(float))
