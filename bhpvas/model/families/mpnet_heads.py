"""Heads of MPNet that are left in a layer, which pick their part of the bias that all share.

It stands in the modelling file of exported models as well, so it needs nothing of bhpvas.
"""

from typing import Any

from transformers.models.mpnet.modeling_mpnet import MPNetSelfAttention


class MPNetSomeHeads(MPNetSelfAttention):
    """An attention of some heads; ``heads`` are their numbers among all.

    They are no tensor: one that is in no file would be left without numbers when a model is loaded.
    """

    heads: list[int]

    def forward(self, *given: Any, **more: Any) -> Any:
        """As with all heads; the bias is the last argument in transformers 4 and 5 alike."""
        given = (*given[:-1], given[-1][:, self.heads])  # [B, k, T, T]
        return super().forward(*given, **more)


def keep_heads(layer: Any, heads: list[int]) -> None:
    """Tell a layer whose projections are those of some heads which these are."""
    attention = layer.attention.attn
    attention.__class__ = MPNetSomeHeads
    attention.heads = heads
    attention.num_attention_heads = len(heads)
    attention.all_head_size = len(heads) * attention.attention_head_size
