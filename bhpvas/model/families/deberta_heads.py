"""Heads of DeBERTa-v2 that are left in a layer, whose attention divides by their number.

It stands in the modelling file of exported models as well, so it needs nothing of bhpvas.
"""

from typing import Any

from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention


class DebertaV2NoHeads(DisentangledSelfAttention):
    """An attention without any head, which hands nothing of each token to its output."""

    def forward(self, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        """Of the kind that one with heads gives."""
        return hidden_states[..., :0], None


def keep_heads(layer: Any, heads: list[int]) -> None:
    """Tell a layer whose projections are those of some heads which these are."""
    attention = layer.attention.self
    attention.num_attention_heads = len(heads)
    attention.all_head_size = len(heads) * attention.attention_head_size
    if not heads:
        attention.__class__ = DebertaV2NoHeads
