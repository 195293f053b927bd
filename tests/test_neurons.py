"""Sets of neurons and masks that remove some: values that agree with plain arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from bhpvas.errors import HeadError
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.neurons import NeuronSet

chosen = arrays(bool, (3, 11))


@given(chosen, chosen)
def test_a_set_is_an_array_of_yes_and_no(one, other):
    some, more = NeuronSet.of(one), NeuronSet.of(other)
    np.testing.assert_array_equal(some.array, one)
    assert some.counts == tuple(one.sum(1))
    assert len(some) == one.sum()
    np.testing.assert_array_equal((some | more).array, one | other)
    np.testing.assert_array_equal((some - more).array, one & ~other)
    assert (some == more) == bool((one == other).all())
    assert (some != more) or hash(some) == hash(more)
    by_layer = {layer: np.flatnonzero(row) for layer, row in enumerate(one)}
    assert NeuronSet.of_layers(3, 11, by_layer) == some


@pytest.mark.parametrize("where", [{3: [0]}, {-1: [0]}, {0: [11]}, {0: [-1]}])
def test_neurons_that_are_not_there_are_refused(where):
    with pytest.raises(HeadError, match="feed-forward neurons 0 to 10"):
        NeuronSet.of_layers(3, 11, where)


def test_a_mask_without_removed_neurons_is_the_mask_of_heads():
    mask, none = HeadMask(3, 4), NeuronSet.of(np.zeros((3, 11)))
    some = NeuronSet.of_layers(3, 11, {1: [2, 3]})
    assert mask.without_neurons(none) == mask == HeadMask(3, 4, neurons=none)
    pruned = mask.without_neurons(some)
    assert (pruned.changes, mask.changes) == (True, False)
    assert pruned.with_neurons(some) == mask != pruned
    assert pruned.without(parse_heads("L0H1")).restored(parse_heads("L0H1")) == pruned


def test_what_lies_below_a_layer_tells_masks_apart_from_there_on():
    mask = HeadMask(3, 4)
    pruned = mask.without_neurons(NeuronSet.of_layers(3, 11, {1: [2]}))
    same = [pruned.neurons_below(layer) == mask.neurons_below(layer) for layer in range(4)]
    assert same == [True, True, False, False]
