"""Counts of parameters and arithmetic against a model that was really sliced."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForSequenceClassification

from bhpvas.heads import HeadMask
from bhpvas.model.config import Geometry
from bhpvas.model.cost import flops_per_sentence, parameters, speed_bound
from bhpvas.neurons import NeuronSet

LAYERS, HEADS, HEAD_SIZE, INTERMEDIATE, LABELS = 3, 4, 6, 40, 3
HIDDEN = HEADS * HEAD_SIZE
BERT_BASE = Geometry(12, 12, 768, 64, 3072, 2, 109_483_778, 512)
MASKS = [
    HeadMask.parse(removed, LAYERS, HEADS)
    for removed in ("", "L0H3", "L0H0,L1H1,L1H3", "L2H0,L2H1,L2H2,L2H3,L0H1")
]
NEURONS = NeuronSet.of_layers(LAYERS, INTERMEDIATE, {0: [3], 2: range(INTERMEDIATE)})
MASKS += [mask.without_neurons(NEURONS) for mask in MASKS]


def tiny_bert() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INTERMEDIATE,
        max_position_embeddings=32,
        num_labels=LABELS,
        attn_implementation="eager",
    )
    return BertForSequenceClassification(config).eval()


def geometry_of(model: BertForSequenceClassification) -> Geometry:
    total = sum(parameter.numel() for parameter in model.parameters())
    return Geometry(LAYERS, HEADS, HIDDEN, HEAD_SIZE, INTERMEDIATE, LABELS, total, 32)


def sliced(model: BertForSequenceClassification, mask: HeadMask) -> BertForSequenceClassification:
    """The model with the removed heads' rows and columns cut out of its matrices."""
    for number, layer in enumerate(model.bert.encoder.layer):
        kept = [
            head.head * HEAD_SIZE + offset
            for head in mask
            if head.layer == number
            for offset in range(HEAD_SIZE)
        ]
        attention = layer.attention
        for linear in (attention.self.query, attention.self.key, attention.self.value):
            linear.weight = nn.Parameter(linear.weight[kept])
            linear.bias = nn.Parameter(linear.bias[kept])
        attention.output.dense.weight = nn.Parameter(attention.output.dense.weight[:, kept])
        if mask.neurons is not None:
            stay = torch.from_numpy(~mask.neurons.array[number])
            up, down = layer.intermediate.dense, layer.output.dense
            up.weight, up.bias = nn.Parameter(up.weight[stay]), nn.Parameter(up.bias[stay])
            down.weight = nn.Parameter(down.weight[:, stay])
    return model


@pytest.mark.parametrize("mask", MASKS)
def test_parameters_are_those_of_the_sliced_model(mask: HeadMask):
    geometry = geometry_of(tiny_bert())
    counted = sum(parameter.numel() for parameter in sliced(tiny_bert(), mask).parameters())
    assert parameters(geometry, mask) == counted


@pytest.mark.parametrize("tokens", [2, 9, 31])
@pytest.mark.parametrize("mask", MASKS)
def test_flops_are_those_that_torch_counts(mask: HeadMask, tokens: int):
    model = tiny_bert()
    geometry = geometry_of(model)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        sliced(model, mask)(input_ids=torch.arange(tokens)[None])
    assert flops_per_sentence(geometry, mask, [tokens]) == counter.get_total_flops()


@given(st.lists(st.integers(1, 512), min_size=1, max_size=50))
def test_flops_of_many_sentences_are_their_mean(lengths: list[int]):
    mask = HeadMask.parse("L0H0,L5H11", 12, 12)
    one_by_one = [flops_per_sentence(BERT_BASE, mask, [tokens]) for tokens in lengths]
    assert flops_per_sentence(BERT_BASE, mask, np.array(lengths)) == pytest.approx(
        sum(one_by_one) / len(lengths)
    )


def test_half_and_all_heads_of_bert_base_bring_what_arithmetic_says():
    whole = HeadMask(12, 12)
    half = HeadMask.from_array(np.tile([1, 0], (12, 6)))
    none = HeadMask.from_array(np.zeros((12, 12)))
    assert 1 - parameters(BERT_BASE, none) / BERT_BASE.parameters == pytest.approx(0.26, abs=0.005)
    # Per token, attention costs 8 D² + 4 T D and the rest of a layer 16 D² (I = 4 D).
    for tokens in (32, 512):
        assert speed_bound(BERT_BASE, whole, [tokens]) == 1
        assert speed_bound(BERT_BASE, none, [tokens]) == pytest.approx(
            1.5 + tokens / (4 * 768), rel=2e-3
        )
        assert 1.19 < speed_bound(BERT_BASE, half, [tokens]) < 1.26
