"""Heads of ModernBERT that are left in a layer, which transformers 4 counts.

It stands in the modelling file of exported models as well, so it needs nothing of bhpvas.
"""

from typing import Any


def keep_heads(layer: Any, heads: list[int]) -> None:
    """Tell a layer's attention how many heads it has; version 5 goes by its matrices alone."""
    attention = layer.attn
    attention.num_heads = len(heads)
    attention.all_head_size = len(heads) * attention.head_dim
