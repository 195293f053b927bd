"""MPNet: heads add biases by distance to their scores, each its own, the same in all layers."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, MPNetForSequenceClassification
from transformers.models.mpnet.modeling_mpnet import MPNetSelfAttention

from bhpvas.errors import ModelError
from bhpvas.export import export_model
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads
from bhpvas.scheme.scheme import Scheme
from tests import reference
from tests.conftest import TEXTS, tiny_dataset
from tests.model.folders import change_config, change_json, model_folder
from tests.project.nasty import refused
from tests.tiny import WORDS, many_sentences, save_tiny

KNOWN = [word for word in WORDS if word.isalpha()]
UNEVEN = "L0H1,L0H2,L1H0"
EMPTY = "L0H0,L0H1,L0H2,L0H3,L1H2"


def tiny(folder: Path, **settings: Any) -> Classifier:
    return load_classifier(save_tiny(folder, "mpnet", settings=settings))


def table_of(classifier: Classifier) -> torch.nn.Parameter:
    """What every distance adds to the scores of each head, ``[buckets, H]``."""
    table: torch.nn.Parameter = classifier.model.mpnet.encoder.relative_attention_bias.weight
    return table


@pytest.mark.parametrize("length", [1, 2, 9, 40, 130, 300])
def test_biases_are_those_that_transformers_adds(tmp_path, length):
    classifier = tiny(tmp_path)
    encoder, keys = classifier.model.mpnet.encoder, torch.zeros(2, 4, length, 8)
    expected = encoder.compute_position_bias(torch.zeros(1, length, 32))[0]  # [H, T, T]
    for layer in classifier.layers:
        assert torch.equal(layer.positions(layer, keys, keys)[2], expected)
        assert torch.equal(layer.positions(layer, keys[:, :, :1], keys)[2], expected[:, :1])
        some = layer.positions.of_heads(torch.tensor([3, 1]))
        assert torch.equal(some(layer, keys, keys)[2], expected[[3, 1]])


@pytest.mark.parametrize("padding", [0, 1, 7])
def test_inputs_go_to_the_limit_wherever_padding_stands(tmp_path, padding):
    """Places are counted from 1 whatever the config calls its padding."""
    folder = save_tiny(
        tmp_path, "mpnet", settings={"max_position_embeddings": 302, "pad_token_id": padding}
    )
    change_json(folder, "tokenizer_config.json", model_max_length=1000)
    classifier = load_classifier(folder)
    assert classifier.geometry.max_length == read_info(folder).geometry.max_length == 300
    texts = ("the unknownword film is good", " ".join((KNOWN * 11)[:320]), " ".join(KNOWN * 4))
    encoded = classifier.encode_texts(texts)
    assert encoded.lengths.max() == 300
    # What is unknown has the number 1, too, so that transformers takes it for padding.
    assert encoded.unknown == 1 and 1 in encoded.input_ids(0)
    np.testing.assert_allclose(
        predict(classifier, encoded), reference.plain_logits(classifier, texts), atol=1e-5
    )
    mask = HeadMask.parse(UNEVEN, 2, 4)
    model = remove_heads(classifier, mask)
    for text, row in zip(texts, predict(classifier, encoded, mask), strict=True):
        with torch.no_grad():
            logits = model(**reference.inputs_of(classifier, text)).logits[0]
        np.testing.assert_allclose(row, logits, atol=1e-5)


def test_buckets_that_transformers_does_not_count_are_refused_or_never_read(tmp_path):
    """It puts distances in 32 buckets, whatever the config says and the table holds."""
    few = save_tiny(tmp_path / "few", "mpnet", settings={"relative_attention_num_buckets": 31})
    said = refused(lambda: load_classifier(few))
    assert said == refused(lambda: read_info(few))
    assert "has 31 buckets of relative positions, where transformers reads 32" in said
    model = AutoModelForSequenceClassification.from_pretrained(few)
    with pytest.raises(IndexError):
        model(torch.ones(1, 200, dtype=torch.long))
    more = tiny(tmp_path / "more", relative_attention_num_buckets=48)
    assert table_of(more).shape == (48, 4)
    found = predict(more, more.encode_texts(TEXTS))
    np.testing.assert_allclose(found, reference.plain_logits(more, TEXTS), atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("heads", [UNEVEN, EMPTY])
def test_a_smaller_module_can_be_copied_and_saved(tmp_path, heads, shared):
    classifier, mask = tiny(tmp_path), HeadMask.parse(heads, 2, 4)
    pruned = remove_heads(classifier, mask, shared=shared)
    assert type(pruned) is MPNetForSequenceClassification
    for layer in classifier.model.mpnet.encoder.layer:  # that of the unpruned model is its own
        assert type(layer.attention.attn) is MPNetSelfAttention
    # Layers share the table, so it stays as it is, and each attention picks its heads' columns.
    assert torch.equal(pruned.mpnet.encoder.relative_attention_bias.weight, table_of(classifier))
    file = io.BytesIO()
    torch.save(pruned, file)
    saved = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
    expected = predict(classifier, classifier.encode_texts(TEXTS), mask)
    for model in (pruned, copy.deepcopy(pruned), copy.deepcopy(pruned).double(), saved):
        layers = classifier.family.layers(model)
        other = replace(classifier, model=model, layers=layers, dtype=model.dtype)
        for text, row in zip(TEXTS, expected, strict=True):
            with torch.no_grad():
                logits = model(**reference.inputs_of(classifier, text)).logits[0]
            np.testing.assert_allclose(row, logits, atol=1e-5)
        found = predict(other, other.encode_texts(TEXTS))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_head_that_is_zero_needs_no_zero_in_the_shared_table(tmp_path):
    """Wherever it attends to, it reads zeros and writes none: its biases say nothing, and learn
    nothing of it. Zeros there would change the head of the same number in every other layer.
    """
    classifier = tiny(tmp_path / "model")
    scheme = Scheme.of(classifier).removing(parse_heads("L0H1,L1H1,L0H2"))
    export_model(classifier, scheme, tmp_path / "out", "dense", dataset=tiny_dataset())
    dense = load_classifier(tmp_path / "out")
    assert torch.equal(table_of(dense), table_of(classifier))
    encoded = dense.encode_texts(TEXTS)
    masked = predict(classifier, encoded, scheme.mask)
    np.testing.assert_allclose(predict(dense, encoded), masked, atol=1e-5)
    table = table_of(dense)
    changed = table.detach().clone()
    changed[:, 1] = torch.randn(32, generator=torch.Generator().manual_seed(0)) * 3
    table.data = changed
    np.testing.assert_allclose(reference.plain_logits(dense, TEXTS), masked, atol=1e-5)
    table.requires_grad_(True)
    dense.model(**reference.inputs_of(dense, TEXTS[-1])).logits[0, 0].backward()
    assert not table.grad[:, 1].any()  # gone in both layers
    assert all(table.grad[:, head].any() for head in (0, 2, 3))  # H2 is gone in one


def test_a_changed_table_is_read_again(tmp_path):
    """As fine-tuning changes it: by the engine, under a mask and in an export."""
    from bhpvas.model.weights import Weights

    classifier, mask = tiny(tmp_path / "model"), HeadMask.parse(UNEVEN, 2, 4)
    key = "mpnet.encoder.relative_attention_bias.weight"
    changed = classifier.with_weights(Weights({key: table_of(classifier) + torch.arange(4.0)}))
    encoded = classifier.encode_texts(TEXTS)
    # The same for every distance changes nothing; by distance it does.
    np.testing.assert_allclose(
        predict(changed, encoded, mask), predict(classifier, encoded, mask), atol=1e-5
    )
    changed = classifier.with_weights(Weights({key: -table_of(classifier)}))
    found = predict(changed, encoded)
    assert np.abs(found - predict(classifier, encoded)).max() > 0.01
    np.testing.assert_allclose(found, reference.plain_logits(changed, TEXTS), atol=1e-5)
    assert changed.changed_below(0)  # nothing that was kept of a layer holds any longer


@pytest.mark.parametrize("heads", [UNEVEN, EMPTY])
def test_an_export_names_its_heads_so_that_no_version_prunes_by_itself(tmp_path, heads):
    """transformers 4 would take pruned_heads out and go on adding the biases of all."""
    classifier = tiny(tmp_path / "model")
    scheme = Scheme.of(classifier).removing(parse_heads(heads))
    export_model(classifier, scheme, tmp_path / "out", dataset=tiny_dataset())
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "pruned_heads" not in config and {*config["removed_heads"]} == {"0", "1"}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "# transformers needs trust_remote_code to run" in card and "needs no" not in card
    model = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", trust_remote_code=True
    )
    file = Path(tmp_path / "out" / "modeling_pruned.py").read_text()
    assert "bhpvas" not in file.replace("Written by bhpvas.", "")
    lines = [line for line in file.splitlines() if line.startswith("class ")]
    assert len({line.partition("(")[0] for line in lines}) == len(lines)
    sentences = many_sentences(20).texts
    expected = predict(classifier, classifier.encode_texts(sentences), scheme.mask)
    for text, row in zip(sentences, expected, strict=True):
        with torch.no_grad():
            logits = model(**reference.inputs_of(classifier, text)).logits[0]
        np.testing.assert_allclose(row, logits, atol=1e-5)
    change_config(tmp_path / "out", removed_heads={"0": [0], "1": [9]})
    with pytest.raises(ModelError, match="The removed_heads of 'out' cannot be used: L1H9"):
        load_classifier(tmp_path / "out")


VOCABULARY = ["<s>", "<pad>", "</s>", "[UNK]", *WORDS, "<mask>"]


def test_its_own_tokenizer_is_read_from_its_vocabulary(tmp_path):
    folder = model_folder(tmp_path / "own", "mpnet")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    change_config(folder, vocab_size=len(VOCABULARY), pad_token_id=1)
    classifier = load_classifier(folder)
    assert classifier.geometry == read_info(folder).geometry
    assert type(classifier.tokenizer).__name__ == "MPNetTokenizer"
    encoded = classifier.encode_texts(["The <mask> is GOOD, zzz"])
    tokens = classifier.tokenizer.convert_ids_to_tokens(encoded.input_ids(0))
    assert tokens == ["<s>", "the", "<mask>", "is", "good", ",", "[UNK]", "</s>"]
    pair = classifier.encode_texts(["good"], ["not bad"])
    assert pair.special == 4 and not pair.token_type_ids(0).any()
    texts = ["the film is good .", "zzz , we like it", "bad"]
    inputs = classifier.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = classifier.model(**inputs).logits
    np.testing.assert_allclose(
        predict(classifier, classifier.encode_texts(texts)), expected, atol=1e-5
    )
