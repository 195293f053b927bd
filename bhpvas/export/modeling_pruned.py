"""Sequence classifiers without the attention heads that their config names. Written by bhpvas.

``pruned_heads`` maps a layer to the heads that it lacks. transformers 4 removes them by itself;
from version 5 on that is done here. ``constant_attention`` lists layers without any head: all that
such an attention adds is the bias of its output. transformers 4 cannot run a layer without heads,
so the weight file holds one for it whose weights are all zero; here it is left out.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BertForSequenceClassification,
    DistilBertForSequenceClassification,
    ElectraForSequenceClassification,
    PreTrainedModel,
    RobertaForSequenceClassification,
    XLMRobertaForSequenceClassification,
)


class Constant(nn.Module):
    """The same vector for every token, in place of an output projection without input."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.bias.expand(hidden_states.shape)


class NoHeads(nn.Module):
    """In place of an attention's heads."""

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        return hidden_states, None


class ConstantAttention(nn.Module):
    """In place of an attention that holds its output projection itself."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.out_lin = Constant(size)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        return self.out_lin(hidden_states), None


def remove_attention(layer: Any, size: int) -> None:
    """Replace the attention of a layer without heads by its constant output."""
    if hasattr(layer.attention, "out_lin"):
        layer.attention = ConstantAttention(size)
    else:
        layer.attention.self = NoHeads()
        layer.attention.output.dense = Constant(size)


class Pruned:
    """Gives a model's attentions the sizes that its config states, before weights are loaded."""

    base_model: Any
    _keys_to_ignore_on_load_unexpected: Any

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        if hasattr(PreTrainedModel, "prune_heads"):
            return
        base = self.base_model
        layers = base.transformer.layer if hasattr(base, "transformer") else base.encoder.layer
        size, heads = config.hidden_size, config.num_attention_heads
        left_out = set(self._keys_to_ignore_on_load_unexpected or ())
        for number in config.constant_attention:
            remove_attention(layers[number], size)
            left_out.add(rf"layer\.{number}\.attention\.(?!out\w+(\.dense)?\.bias)")
        self._keys_to_ignore_on_load_unexpected = left_out
        for number, removed in config.pruned_heads.items():
            if int(number) in config.constant_attention:
                continue
            kept = size // heads * (heads - len(removed))
            attention = layers[int(number)].attention
            if hasattr(attention, "out_lin"):
                for name in ("q_lin", "k_lin", "v_lin"):
                    setattr(attention, name, nn.Linear(size, kept))
                attention.out_lin = nn.Linear(kept, size)
            else:
                for name in ("query", "key", "value"):
                    setattr(attention.self, name, nn.Linear(size, kept))
                attention.output.dense = nn.Linear(kept, size)


class PrunedBertForSequenceClassification(Pruned, BertForSequenceClassification):
    """BERT without its pruned heads."""


class PrunedDistilBertForSequenceClassification(Pruned, DistilBertForSequenceClassification):
    """DistilBERT without its pruned heads."""


class PrunedElectraForSequenceClassification(Pruned, ElectraForSequenceClassification):
    """ELECTRA without its pruned heads."""


class PrunedRobertaForSequenceClassification(Pruned, RobertaForSequenceClassification):
    """RoBERTa without its pruned heads."""


class PrunedXLMRobertaForSequenceClassification(Pruned, XLMRobertaForSequenceClassification):
    """XLM-RoBERTa without its pruned heads."""
