"""DeBERTa: distances in a layer's scores, by hand and as transformers has them, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DebertaConfig, DebertaForSequenceClassification
from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position

from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.cost import flops_per_sentence, speed_bound
from bhpvas.model.families.deberta import _rows
from bhpvas.model.layers import attend, finish_layer
from bhpvas.model.pruning import remove_heads
from tests.model.folders import change_config, change_weights
from tests.tiny import VARIANTS, save_tiny

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
DEBERTA = [name for name, (family, _) in VARIANTS.items() if family == "deberta-v2"]


@pytest.mark.parametrize("farthest", [7, 24, 512])
@pytest.mark.parametrize("buckets", [-1, 2, 3, 4, 5, 8, 32, 256])
def test_a_distance_has_the_row_that_transformers_gives_it(buckets: int, farthest: int) -> None:
    steps, longest = buckets if buckets > 0 else farthest, 300
    states = torch.zeros(1, longest, 1)
    theirs = build_relative_position(states, states, buckets, farthest)[0]
    expected = (theirs + steps).clamp(0, 2 * steps - 1)
    places = torch.arange(longest)
    found = _rows(farthest, steps, buckets > 0, longest)[places[:, None] - places + longest]
    assert torch.equal(found, expected)


def test_distances_below_half_the_buckets_are_told_apart_and_the_rest_by_their_logarithm() -> None:
    # Eight steps each way: 0 to 4 as they are, then ceil(ln(d / 4) / ln(31 / 4) · 3) beyond.
    rows = _rows(32, 8, True, 40).tolist()[40:]
    assert rows[:8] == [8, 9, 10, 11, 12, 13, 13, 13]
    assert [rows[distance] for distance in (8, 16, 31, 32, 40)] == [14, 15, 15, 15, 15]


@pytest.mark.parametrize("variant", DEBERTA)
def test_maps_and_a_first_token_alone_agree_with_the_whole_pass(
    tmp_path: Path, variant: str
) -> None:
    """Of the first token's query alone other rows are needed, and other scores are gathered."""
    family, settings = VARIANTS[variant]
    classifier = load_classifier(save_tiny(tmp_path, family, settings=settings))
    states = torch.randn(3, 19, 32, generator=torch.Generator().manual_seed(0))
    real = torch.arange(19)[None, None, None] < torch.tensor([19, 7, 1])[:, None, None, None]
    for layer in classifier.layers:
        whole, _ = attend(classifier, layer, states, real)
        mapped, maps = attend(classifier, layer, states, real, with_maps=True)
        first, _ = attend(classifier, layer, states, real, first_only=True)
        assert maps is not None
        torch.testing.assert_close(mapped, whole, rtol=0, atol=1e-5)
        torch.testing.assert_close(first, whole[:, :1], rtol=0, atol=1e-5)
        assert not maps.masked_select(~real.expand_as(maps)).any()


def test_a_score_of_content_and_distances_by_hand(tmp_path: Path) -> None:
    """He et al. 2021, Eq. 4, for each pair of tokens by itself."""
    classifier = load_classifier(save_tiny(tmp_path, "deberta-v2"))
    layer, size = classifier.layers[0], classifier.geometry.head_size
    states = torch.randn(1, 11, 32, generator=torch.Generator().manual_seed(1))
    _, maps = attend(classifier, layer, states, None, with_maps=True)
    assert maps is not None
    encoder = classifier.model.deberta.encoder
    distances = encoder.LayerNorm(encoder.rel_embeddings.weight)  # [8, D]
    query, key = (part(states[0]).view(11, 4, size) for part in (layer.query, layer.key))
    to_key, to_query = (part(distances).view(8, 4, size) for part in (layer.key, layer.query))
    rows = _rows(40, 4, True, 40)
    for head in range(4):
        scores = torch.zeros(11, 11)
        for i in range(11):
            for j in range(11):
                row = rows[i - j + 40]
                q, k = query[i, head], key[j, head]
                scores[i, j] = q @ k + q @ to_key[row, head] + k @ to_query[row, head]
        expected = (scores / np.sqrt(3 * size)).softmax(-1)
        torch.testing.assert_close(maps[0, head], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tokens", [2, 9, 31])
def test_flops_of_distances_are_those_that_torch_counts(tmp_path: Path, tokens: int) -> None:
    """Beside them distances are projected, once for all sentences of a batch."""
    settings = {"position_buckets": -1, "max_relative_positions": 12}  # 24 rows
    classifier = load_classifier(save_tiny(tmp_path, "deberta-v2", settings=settings))
    states, rows = torch.randn(1, tokens, 32), min(2 * tokens - 1, 24)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        for layer in classifier.layers:
            outputs, _ = attend(classifier, layer, states, None, with_maps=True)
            states = finish_layer(layer, states, layer.output(outputs.flatten(2)))
    projected = 2 * 2 * (2 * rows * 32 * 32)  # layers, kinds
    top = 2 * 32 * (32 + 2)
    found = flops_per_sentence(classifier.geometry, classifier.full_mask(), [tokens])
    assert counter.get_total_flops() == found - top + projected


@pytest.mark.parametrize("removed", ["L0H1", "L0H0,L0H2,L1H1", "L0H0,L0H1,L0H2,L0H3,L1H2"])
@pytest.mark.parametrize("variant", ["deberta-v2", "deberta-v2, own projections"])
def test_no_module_of_one_sentence_gains_more_than_the_bound(
    tmp_path: Path, variant: str, removed: str
) -> None:
    family, settings = VARIANTS[variant]
    classifier = load_classifier(save_tiny(tmp_path, family, settings=settings))
    mask, took = HeadMask.parse(removed, 2, 4), []
    for model in (classifier.model, remove_heads(classifier, mask)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.tensor([[2, 7, 8, 9, 10, 3]]))
        took.append(counter.get_total_flops())
    assert speed_bound(classifier.geometry, mask, [6]) == pytest.approx(took[0] / took[1])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"conv_kernel_size": 3}, "has a convolution over neighbouring tokens (conv_kernel_size)"),
        ({"attention_head_size": 16}, "has an attention_head_size that is not its hidden_size"),
        ({"pooler_hidden_size": 16}, "has 16 pooled numbers (pooler_hidden_size) and 32 hidden"),
        ({"max_position_embeddings": 10**9}, "has 1,000,000,000 places (max_position_embeddings)"),
        ({"max_position_embeddings": 1}, "has one place (max_position_embeddings) for a text's"),
        ({"position_buckets": "many"}, "has a position_buckets that is no whole number"),
        ({"position_buckets": 1}, "has a single bucket of distances (position_buckets)"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_name(
    tmp_path: Path, setting: dict[str, object], said: str
) -> None:
    change_config(save_tiny(tmp_path / "odd", "deberta-v2"), **setting)
    for load in (read_info, load_classifier):
        with pytest.raises(ModelError) as raised:
            load(tmp_path / "odd")
        assert said in str(raised.value) and "which is not supported: choose" in str(raised.value)


def test_the_first_deberta_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """Its matrices are fused head by head, and its distances are projected without a bias."""
    config = DebertaConfig(**SIZES, relative_attention=True, pos_att_type="c2p|p2c")
    DebertaForSequenceClassification(config).save_pretrained(tmp_path / "first")
    with pytest.raises(ModelError, match=r"is of type 'deberta', which keeps .* a DeBERTa-v3"):
        read_info(tmp_path / "first")


def test_positions_that_are_stored_and_not_used_are_a_note(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, "deberta-v2")
    table = "deberta.embeddings.position_embeddings.weight"
    change_weights(folder, lambda tensors: tensors | {table: torch.ones(40, 32)})
    [said] = load_classifier(folder).notes
    assert table in said and read_info(folder).notes == (said,)
