"""Batches of sentences of about equal length."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bhpvas.model.batching import length_sorted_batches


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_every_index_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = length_sorted_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch.tolist()) == [*range(len(lengths))]
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
    for batch, following in pairwise(batches):
        # One more sentence would not have fitted.
        assert following.size
        assert (len(batch) + 1) * max(lengths[batch[0]], 1) > budget
