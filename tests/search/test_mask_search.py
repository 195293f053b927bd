"""Fisher mask search: exchanges within a layer."""

from __future__ import annotations

import numpy as np

from bhpvas.criteria import score
from bhpvas.heads import HeadMask
from bhpvas.search import propose
from bhpvas.search.mask_search import rearranged
from tests.tiny import many_sentences

SENTENCES = many_sentences(40)


def test_exchanges_find_the_best_pair_and_never_a_worse_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        gradients = rng.standard_normal((30, 6))
        block = gradients.T @ gradients
        start = [int(one) for one in rng.permutation(6)[:2]]
        found = rearranged(block, start, list(range(6)))
        pairs = {
            (one, two): block[np.ix_([one, two], [one, two])].sum()
            for one in range(6)
            for two in range(6)
            if one != two
        }
        cost = pairs[found[0], found[1]]
        assert cost <= pairs[start[0], start[1]]
        better = [pair for pair in pairs if pairs[pair] < cost - 1e-9]
        assert not any(set(pair) & set(found) for pair in better)


def test_mask_search_keeps_one_of_two_that_stand_in_for_each_other(classifier):
    """As many heads a layer as by Fisher alone, and a lower sum over each layer's block."""
    fisher, searched = (
        propose(classifier, SENTENCES, name, heads=4).mask for name in ("fisher", "mask-search")
    )
    assert fisher.kept_per_layer == searched.kept_per_layer
    gradients = score(classifier, SENTENCES, ["fisher"]).gate_gradients
    assert gradients is not None

    def cost(mask: HeadMask) -> float:
        return sum(
            float(np.square(gradients[:, layer] @ (1 - mask.array[layer])).mean())
            for layer in range(2)
        )

    assert cost(searched) <= cost(fisher) + 1e-12
