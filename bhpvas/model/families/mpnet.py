"""MPNet (Song et al. 2020): relative positions as a bias of scores, the same in every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family, Layer, Shapes
from bhpvas.model.families.bert import WORD_PIECES
from bhpvas.model.families.roberta import places_after_padding, two_layer_head

if TYPE_CHECKING:
    from torch import Tensor

# transformers numbers distances by so many buckets, whatever a config says, and puts all that are
# as far as this or farther into the last ones.
_BUCKETS, _FARTHEST = 32, 128


@dataclass(frozen=True, eq=False)
class RelativeBias:
    """What is added to the scores of heads by the distance of key and query: ``[H, 2F + 1]``.

    Distances are numbered from -F; all that are farther are as the farthest.
    """

    biases: Tensor

    def __call__(self, layer: Layer, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys as they are, and what their scores have added: ``[H, Q, T]``."""
        import torch

        places = torch.arange(key.shape[2], device=key.device)
        distances = places - places[: query.shape[2], None]  # [Q, T]
        farthest = self.biases.shape[1] // 2
        which = distances.clamp(-farthest, farthest) + farthest
        return query, key, self.biases.to(key)[:, which]

    def of_heads(self, heads: Tensor) -> RelativeBias:
        """The same for some heads alone."""
        return RelativeBias(self.biases.index_select(0, heads.to(self.biases.device)))


def _positions(model: Any, number: int) -> RelativeBias:
    """The biases of a layer's heads, by the buckets that transformers itself puts distances in."""
    import torch

    encoder = model.mpnet.encoder
    table = encoder.relative_attention_bias.weight.detach()  # [buckets, H]
    distances = torch.arange(-_FARTHEST, _FARTHEST + 1, device=table.device)
    biases = RelativeBias(table[encoder.relative_position_bucket(distances)].T.contiguous())
    heads = getattr(encoder.layer[number].attention.attn, "heads", None)
    return biases if heads is None else biases.of_heads(torch.tensor(heads, dtype=torch.long))


def _others(config: Mapping[str, Any]) -> Shapes:
    buckets = config["relative_attention_num_buckets"]
    name = "mpnet.encoder.relative_attention_bias.weight"
    return {name: (buckets, config["num_attention_heads"])} | two_layer_head(config)


def _unsupported(config: Mapping[str, Any]) -> str:
    buckets = config.get("relative_attention_num_buckets", _BUCKETS)
    if type(buckets) is not int or buckets >= _BUCKETS:
        return ""
    return f"has {buckets} buckets of relative positions, where transformers reads {_BUCKETS}"


MPNET = Family(
    name="mpnet",
    title="MPNet",
    model_class="MPNetForSequenceClassification",
    parts={
        "query": "attention.attn.q",
        "key": "attention.attn.k",
        "value": "attention.attn.v",
        "output": "attention.attn.o",
        "attention_norm": "attention.LayerNorm",
        "up": "intermediate.dense",
        "activation": "intermediate.intermediate_act_fn",
        "down": "output.dense",
        "feed_forward_norm": "output.LayerNorm",
    },
    classify=lambda model, first: model.classifier(first[:, None]),
    base="mpnet",
    others=_others,
    pretraining=("lm_head",),
    tokenizer=replace(
        WORD_PIECES,
        name="MPNetTokenizer",
        padding="<pad>",
        first="<s>",
        last="</s>",
        mask="<mask>",
    ),
    more_keys=("relative_attention_num_buckets",),
    unused=("mpnet.pooler.dense.weight", "mpnet.pooler.dense.bias"),
    places=places_after_padding,
    typed=False,
    after_padding=True,
    padding_index=1,
    positions=_positions,
    keeping="mpnet_heads",
    pruned_key="removed_heads",
    unsupported=_unsupported,
    attention="eager",
)
