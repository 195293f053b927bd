"""Exports: the files answer as the masked model does, wherever they are said to load."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import XLMRobertaConfig

from bhpvas.data.provenance import Provenance
from bhpvas.errors import ModelError
from bhpvas.evaluation.data_record import data_record
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import FORMATS, Exported, ExportError, base, export_model, onnx_graph, writing
from bhpvas.export.base import logits_of, smallest_exact, weight_bytes
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.model.engine import predict
from bhpvas.model.latency import Latencies
from bhpvas.model.pruning import remove_heads
from bhpvas.model.runtimes import Engine, Timing
from bhpvas.model.weights import Weights
from bhpvas.progress import Cancelled, silent
from bhpvas.recovery import recover
from bhpvas.recovery.finetuning import finetune
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme, load_scheme
from bhpvas.text import verbatim
from tests import tiny
from tests.conftest import tiny_dataset
from tests.model.folders import change_json
from tests.recovery.test_finetuning import QUICK, taught
from tests.tiny import save_tiny

FORMATS_HERE = [
    pytest.param("onnx", marks=pytest.mark.slow) if name == "onnx" else name for name in FORMATS
]
UNEVEN = "L0H1,L0H2,L1H0"
EMPTY = "L0H0,L0H1,L0H2,L0H3,L1H2"
FAMILIES = (*tiny.SEPARATE, "xlm-roberta")


@pytest.fixture(autouse=True)
def xlm_roberta(monkeypatch):
    """The one family that shares its architecture with another."""
    monkeypatch.setitem(
        tiny.CONFIGS,
        "xlm-roberta",
        lambda labels: XLMRobertaConfig(**tiny._SIZES, num_labels=labels),
    )


def scheme_without(classifier: Classifier, heads: str) -> Scheme:
    return Scheme.of(classifier).removing(parse_heads(heads), "importance", seed=3)


def exported(classifier: Classifier, heads: str, folder: Path, format: str, **more) -> Exported:
    scheme = scheme_without(classifier, heads)
    return export_model(classifier, scheme, folder, format, dataset=tiny_dataset(), **more)


def recovered_by(how: str, classifier: Classifier, mask: HeadMask) -> Weights:
    """Other weights for a mask: refitted, or all of them trained on, embeddings included."""
    if how == "compensate":
        return recover(classifier, tiny_dataset(), mask).weights
    settings = replace(QUICK, epochs=1, embeddings=True)
    return finetune(classifier, taught(classifier, 60), mask, settings).weights


def masked_logits(classifier: Classifier, heads: str) -> np.ndarray:
    mask = HeadMask.parse(heads, 2, 4)
    return predict(classifier, classifier.encode(tiny_dataset()), mask)


@pytest.mark.parametrize("heads", [UNEVEN, EMPTY])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_smaller_model_is_loaded_again_without_code_of_its_own(tmp_path, family, heads):
    classifier = load_classifier(save_tiny(tmp_path / "model", family))
    found = exported(classifier, heads, tmp_path / "out", "transformers")
    again = load_classifier(tmp_path / "out")
    encoded = again.encode(tiny_dataset())
    np.testing.assert_allclose(predict(again, encoded), masked_logits(classifier, heads), atol=1e-5)
    mask = HeadMask.parse(heads, 2, 4)
    assert again.full_mask() == mask
    # Heads that are not there cannot be counted twice.
    assert parameters(classifier.geometry, mask) == again.geometry.parameters == found.parameters
    assert parameters(again.geometry, mask) == read_info(tmp_path / "out").geometry.parameters
    lengths = encoded.lengths
    assert (
        flops_per_sentence(again.geometry, HeadMask(2, 4), lengths)
        == flops_per_sentence(classifier.geometry, mask, lengths)
        == found.flops_per_sentence
    )
    # The file holds what is counted, and a head of zeros where a layer has none left.
    stand_in = classifier.geometry.head_parameters * (heads == EMPTY)
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert sum(one.numel() for one in stored.values()) == found.parameters + stand_in


@pytest.mark.parametrize("heads", [UNEVEN, EMPTY])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_dense_model_loads_as_any_other(tmp_path, family, heads):
    classifier = load_classifier(save_tiny(tmp_path / "model", family))
    found = exported(classifier, heads, tmp_path / "out", "dense")
    again = load_classifier(tmp_path / "out")
    np.testing.assert_allclose(
        predict(again, again.encode(tiny_dataset())), masked_logits(classifier, heads), atol=1e-5
    )
    assert found.parameters == found.parameters_before == again.geometry.parameters
    assert found.speed_bound == 1 and again.full_mask() == HeadMask(2, 4)
    assert not (tmp_path / "out" / "modeling_pruned.py").exists()


def test_removed_heads_of_a_dense_model_stay_zero_when_it_is_trained(tmp_path):
    classifier = load_classifier(save_tiny(tmp_path / "model"))
    exported(classifier, UNEVEN, tmp_path / "out", "dense")
    model = load_classifier(tmp_path / "out").model.requires_grad_(True)
    inputs = classifier.tokenizer(
        ["the film is good .", "awful"], padding=True, return_tensors="pt"
    )
    model(**inputs, labels=torch.tensor([1, 0])).loss.backward()
    attention = model.bert.encoder.layer[0].attention  # L0H1 and L0H2 are gone: 8 to 23
    for part in (attention.self.query, attention.self.key, attention.self.value):
        assert not part.weight.grad[8:24].any() and part.weight.grad[:8].any()
    assert not attention.output.dense.weight.grad[:, 8:24].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "heads"), [("bert", UNEVEN), *((family, EMPTY) for family in FAMILIES)]
)
def test_a_graph_answers_any_batch_and_length(tmp_path, family, heads):
    classifier = load_classifier(save_tiny(tmp_path / "model", family))
    exported(classifier, heads, tmp_path / "out", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    expected = masked_logits(classifier, heads)
    tokenizer, texts = classifier.tokenizer, list(tiny_dataset().texts)
    for start, count in ((0, 1), (3, 2), (0, 12)):
        inputs = dict(tokenizer(texts[start : start + count], padding=True, return_tensors="np"))
        [logits] = session.run(["logits"], inputs)
        np.testing.assert_allclose(logits, expected[start : start + count], atol=1e-4)
    most = classifier.geometry.max_length
    longest = dict(tokenizer([" ".join(["film"] * (most - 2))] * 3, return_tensors="np"))
    assert longest["input_ids"].shape == (3, most)
    assert session.run(["logits"], longest)[0].shape == (3, 2)


@pytest.mark.slow
def test_an_int8_graph_is_measured_by_itself(tmp_path):
    classifier = load_classifier(save_tiny(tmp_path / "model"))
    learnt = LearntSentences.of(classifier.encode(tiny_dataset()).fingerprints)
    scheme = Scheme.of(classifier).removing(parse_heads(UNEVEN), "greedy", learnt_from=learnt)
    found = export_model(
        classifier, scheme, tmp_path / "out", "onnx", int8=True, dataset=tiny_dataset()
    )
    forward = onnx_graph.read_graph(tmp_path / "out" / "model-int8.onnx")
    encoded = classifier.encode(tiny_dataset())
    logits = logits_of(forward, classifier, encoded, silent)
    np.testing.assert_array_equal(found.int8.logits, logits)
    # Rounded to 255 steps it cannot be the same, and it must not be something else either.
    assert found.difference < 1e-4 < np.abs(logits - found.after.logits).max() < 2
    assert np.corrcoef(logits.ravel(), found.after.logits.ravel())[0, 1] > 0.9
    card = (tmp_path / "out" / "README.md").read_text()
    assert "after, int8" in card and "--format onnx --int8" in card
    assert "its accuracy above is its own, and moves with what shares a batch" in card
    assert card.count("**All 12 sentences were learnt from (choice of heads by greedy)") == 2
    record = found.record()
    assert record["learnt_from"] == record["int8"]["learnt_from"] == 12
    assert record["int8"]["unseen"] is None


@pytest.mark.parametrize("how", ["compensate", "finetune"])
@pytest.mark.parametrize("format", FORMATS_HERE)
def test_recovered_weights_are_folded_in(tmp_path, format, how):
    classifier = load_classifier(save_tiny(tmp_path / "model"))
    scheme = scheme_without(classifier, EMPTY)
    recovered = recovered_by(how, classifier, scheme.mask)
    recovered.save(tmp_path)
    scheme = scheme.recovered(recovered.fingerprint, how)
    found = export_model(
        classifier, scheme, tmp_path / "out", format, dataset=tiny_dataset(), weights=tmp_path
    )
    changed = classifier.with_weights(recovered)
    expected = evaluate(changed, tiny_dataset(), scheme.mask)
    np.testing.assert_allclose(found.after.logits, expected.logits, atol=1e-4)
    assert np.abs(found.after.logits - masked_logits(classifier, EMPTY)).max() > 0.01
    # The scheme in the folder makes the same export again, with nothing else at hand.
    again = load_scheme(tmp_path / "out" / "scheme" / "scheme.json")
    twice = export_model(
        classifier, again, tmp_path / "twice", format,
        dataset=tiny_dataset(), weights=tmp_path / "out" / "scheme",
    )  # fmt: skip
    for name in found.weight_files:
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert twice.difference == found.difference


@pytest.mark.parametrize("heads", [UNEVEN, EMPTY])
@pytest.mark.parametrize("format", FORMATS_HERE)
def test_bfloat16_is_stored_as_it_is_and_compared_in_float32(tmp_path, format, heads):
    source = save_tiny(tmp_path / "model")
    found = exported(load_classifier(source, dtype="bfloat16"), heads, tmp_path / "out", format)
    assert found.difference <= 1e-4
    if format != "onnx":  # ONNX Runtime computes in float32
        half = load_classifier(tmp_path / "out", dtype="bfloat16")
        assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
        assert found.files["model.safetensors"] < 2 * half.geometry.parameters + 8000
        whole = load_classifier(tmp_path / "out")
        for one, other in zip(half.model.parameters(), whole.model.parameters(), strict=True):
            assert torch.equal(one.float(), other)


def test_weights_of_half_precision_stay_small_and_exact(tmp_path, classifier):
    exact = torch.tensor([1.0, 0.5, -2.25])
    assert smallest_exact(exact) == torch.float16
    assert smallest_exact(exact * 1e30) == torch.float32  # neither half knows 0.5e30 exactly
    assert smallest_exact(torch.tensor([2.0**100])) == torch.bfloat16
    assert smallest_exact(torch.tensor([0.1])) == torch.float32
    long = torch.ones(base._PIECE + 2)
    assert smallest_exact(long) == torch.float16
    long[-1] = 0.1
    assert smallest_exact(long) == torch.float32
    model = classifier.model
    assert weight_bytes(model) == pytest.approx(4 * classifier.geometry.parameters, rel=0.01)


@pytest.mark.parametrize("format", ["transformers", "dense"])
def test_a_size_is_told_before_the_file_is_made_and_changes_nothing(tmp_path, classifier, format):
    before = [one.clone() for one in classifier.model.state_dict().values()]
    said = FORMATS[format].weight_bytes(classifier, scheme_without(classifier, EMPTY).mask)
    for one, other in zip(before, classifier.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    exported(classifier, EMPTY, tmp_path / "out", format)
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert said == sum(one.nbytes for one in stored.values())
    for one, other in zip(before, classifier.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_card_says_what_was_done(tmp_path, classifier):
    found = exported(classifier, EMPTY, tmp_path / "out", "transformers", data="reviews.tsv")
    card = (tmp_path / "out" / "README.md").read_text()
    for said in (
        "without 5 heads",
        classifier.fingerprint,
        "| 0 | – | H0, H1, H2, H3 |",
        "| 1 | H0, H1, H3 | H2 |",
        "Layer 0: no head is left",
        "importance, seed 3",
        f"| {100 * found.before.accuracy:.1f}% (",
        f"{found.parameters:,}",
        tiny_dataset().fingerprint[:16],
        f"torch {torch.__version__}",
        "--data reviews.tsv --scheme scheme/scheme.json --format transformers",
    ):
        assert said in card, said
    assert load_scheme(tmp_path / "out" / "scheme" / "scheme.json").mask == found.mask
    assert set(found.files) == {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert json.loads(json.dumps(found.record()))["difference"] == found.difference


def test_the_card_says_what_was_read(tmp_path, classifier):
    source = Provenance("a|b *c*", None, "stars", "separated by tabs", notes=("A [guess](of it).",))
    data = replace(tiny_dataset(), provenance=source)
    scheme = scheme_without(classifier, UNEVEN)
    found = export_model(classifier, scheme, tmp_path / "out", "dense", dataset=data)
    assert found.read == data_record(classifier, data)
    card = (tmp_path / "out" / "README.md").read_text()
    (section,) = re.findall(r"## What was read\n\n(.*?)\n\n## ", card, re.DOTALL)
    assert section.splitlines() == [
        *(f"- {name}: {verbatim(said)}" for name, said in found.read.facts().items() if said),
        r"- A \[guess\](of it).",
    ]
    assert r"- Text column: a|b \*c\*" in section and "- Labels matched: by name" in section


def test_further_special_tokens_have_the_name_that_transformers_4_reads(tmp_path):
    folder = save_tiny(tmp_path / "model")
    change_json(folder, "tokenizer_config.json", extra_special_tokens=["good", "bad"])
    classifier = load_classifier(folder)
    exported(classifier, UNEVEN, tmp_path / "out", "dense")
    written = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert written["additional_special_tokens"] == ["good", "bad"]
    assert "extra_special_tokens" not in written  # a list of which stops version 4
    again = load_classifier(tmp_path / "out")
    assert {"good", "bad"} <= set(again.tokenizer.all_special_tokens)
    assert again.geometry == classifier.geometry == read_info(tmp_path / "out").geometry


def test_an_export_can_be_exported_again(tmp_path, classifier):
    exported(classifier, UNEVEN, tmp_path / "once", "transformers")
    once = load_classifier(tmp_path / "once")
    exported(once, "L1H3", tmp_path / "twice", "transformers")
    twice = load_classifier(tmp_path / "twice")
    assert str(twice.full_mask()) == f"{UNEVEN},L1H3"
    expected = masked_logits(classifier, f"{UNEVEN},L1H3")
    np.testing.assert_allclose(predict(twice, twice.encode(tiny_dataset())), expected, atol=1e-5)
    exported(once, "L1H3", tmp_path / "dense", "dense")
    config = json.loads((tmp_path / "dense" / "config.json").read_text())
    assert not {"pruned_heads", "constant_attention", "auto_map"} & config.keys()


def test_files_that_answer_differently_are_refused(tmp_path, classifier, monkeypatch):
    honest = FORMATS["dense"]

    def wrong(given: Classifier, folder: Path):
        forward = honest.read(given, folder)
        return lambda batch: forward(batch) + np.float32(2e-4)

    monkeypatch.setitem(FORMATS, "dense", replace(honest, read=wrong))
    with pytest.raises(ExportError, match=r"answer differently.*nothing was written"):
        exported(classifier, UNEVEN, tmp_path / "out", "dense")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["transformers", "dense"])
def test_stopping_leaves_nothing_behind(tmp_path, classifier, format):
    for moment in (0.1, 0.5, 0.9):

        def stop(done: int, total: int, moment: float = moment) -> None:
            if done / total > moment:
                raise Cancelled

        with pytest.raises(Cancelled):
            exported(classifier, UNEVEN, tmp_path / "out", format, progress=stop)
        assert list(tmp_path.iterdir()) == []


def test_progress_only_grows_and_ends(tmp_path, classifier):
    seen = []
    exported(
        classifier, UNEVEN, tmp_path / "out", "dense",
        progress=lambda done, total: seen.append(done / total),
    )  # fmt: skip
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1


def test_what_cannot_be_exported_is_said(tmp_path, classifier, monkeypatch):
    with pytest.raises(ExportError, match="'tflite' is no format; choose from transformers, onnx"):
        exported(classifier, UNEVEN, tmp_path / "out", "tflite")
    with pytest.raises(ExportError, match="int8 is for the format onnx"):
        exported(classifier, UNEVEN, tmp_path / "out", "dense", int8=True)
    with pytest.raises(ExportError, match="choose a folder that exists"):
        exported(classifier, UNEVEN, tmp_path / "no" / "out", "dense")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    with pytest.raises(ExportError, match="exists already"):
        exported(classifier, UNEVEN, tmp_path / "full", "dense")
    assert (tmp_path / "full" / "mine").read_text() == "precious"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"pip install 'bhpvas\[onnx\]'"):
        exported(classifier, UNEVEN, tmp_path / "out", "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_an_empty_folder_may_be_used(tmp_path, classifier):
    (tmp_path / "out").mkdir()
    exported(classifier, UNEVEN, tmp_path / "out", "dense")
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_pruned_heads_that_cannot_be_are_refused(tmp_path, classifier):
    exported(classifier, UNEVEN, tmp_path / "out", "transformers")
    path = tmp_path / "out" / "config.json"
    config = json.loads(path.read_text())
    for pruned, message in (
        ({"0": [9]}, "L0H9 does not exist"),
        ({"0": [1]}, "pruned by another tool"),  # the file lacks more heads than that
        ({"0": "all"}, "pruned_heads"),
    ):
        path.write_text(json.dumps(config | {"pruned_heads": pruned}))
        with pytest.raises(ModelError, match=message):
            load_classifier(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize("format", FORMATS_HERE)
def test_the_files_are_timed_beside_the_unpruned_model(tmp_path, classifier, monkeypatch, format):
    """A round takes three seconds before, two after, and one in int8."""
    answers: dict[str, np.ndarray] = {}

    def time_passes(passes, timing, device, **settings) -> Latencies:
        answers.update({name: one() for name, one in passes.items()})
        seconds = np.array([[3.0, 2.0, 1.0][: len(passes)]] * 6)
        return Latencies(
            tuple(passes), seconds, timing.batch, timing.length, 2, device, timing.engine
        )

    monkeypatch.setattr(writing, "time_passes", time_passes)
    int8 = format == "onnx"
    found = exported(classifier, UNEVEN, tmp_path / "out", format, timed=(3, 7), int8=int8)
    engine: Engine = "onnx" if int8 else "torch"
    tokens = Timing(engine, 3, 7).tokens(classifier)
    with torch.inference_mode():
        whole = classifier.model(input_ids=torch.from_numpy(tokens)).logits.numpy()
        pruned = remove_heads(classifier, found.mask)(input_ids=torch.from_numpy(tokens)).logits
    np.testing.assert_allclose(answers["before"], whole, atol=1e-4)
    np.testing.assert_allclose(answers["after"], pruned.numpy(), atol=1e-4)
    said = found.record()["milliseconds"]
    assert said["before"] == {"median": 3000, "interval": [3000, 3000]}
    assert said["after"] == {
        "median": 2000, "interval": [2000, 2000], "speed_up": 1.5, "speed_up_interval": [1.5, 1.5],
    }  # fmt: skip
    assert (said["int8"] or {}).get("speed_up") == (3 if int8 else None)
    assert {key: said[key] for key in ("engine", "device", "batch", "length", "threads")} == {
        "engine": engine, "device": "cpu", "batch": 3, "length": 7, "threads": 2,
    }  # fmt: skip
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "| milliseconds (95% interval) | 3000.00 (3000.00 to 3000.00) | 2000.00 (" in card
    assert "one pass of 3 sentences of 7 tokens in " in card and "1.50 times as fast, 95%" in card
    assert "--batch 3 --length 7 --out" in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_what_cannot_be_timed_is_said_before_anything_is_written(tmp_path, classifier):
    with pytest.raises(ModelError, match="8 sentences of 41 tokens cannot be timed"):
        exported(classifier, UNEVEN, tmp_path / "out", "dense", timed=(8, 41))
    assert not [*tmp_path.iterdir()]
    found = exported(classifier, UNEVEN, tmp_path / "out", "dense")
    assert found.record()["milliseconds"] is None
    assert "illiseconds" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_version_of_transformers_need_not_know_every_family(tmp_path, monkeypatch):
    classifier = load_classifier(save_tiny(tmp_path / "model"))
    exported(classifier, UNEVEN, tmp_path / "out", "transformers")
    older = ModuleType("transformers")
    for name in ("PreTrainedModel", "BertForSequenceClassification"):
        setattr(older, name, getattr(transformers, name))
    monkeypatch.setitem(sys.modules, "transformers", older)
    monkeypatch.syspath_prepend(tmp_path / "out")
    made = import_module("modeling_pruned")
    monkeypatch.delitem(sys.modules, "modeling_pruned")
    assert [name for name in vars(made) if name.startswith("Pruned")] == [
        "Pruned",
        "PrunedBertForSequenceClassification",
    ]
