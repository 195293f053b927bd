"""Models as people have them: each row of the table in docs/models.md, tried."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.errors import ModelError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import export_model
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.families import FAMILIES
from bhpvas.scheme.scheme import Scheme
from tests.conftest import tiny_dataset
from tests.model.folders import (
    WEIGHTS,
    change_config,
    change_json,
    change_weights,
    head_rows,
    model_folder,
    remove_heads,
    weights_of,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
QUERY = "bert.encoder.layer.0.attention.self.query.weight"
PAIRS = Dataset(
    "pairs", ("good film", "a dull book"), ("yes", "no"), np.array([1, 0]), ("negative", "positive")
)
FOREIGN = Dataset("foreign", ("qwx", "zzy kkl"), None, np.array([1, 0]), ("negative", "positive"))


SCORES = replace(tiny_dataset(), labels=np.linspace(1.0, 5.0, 12), label_names=("score",))


class Case(NamedTuple):
    """How a folder is made that answers a row; what is said, as a pattern; on which sentences."""

    make: Callable[[Path], Path | None]
    said: str = ""
    data: Dataset = tiny_dataset()
    family: str = "bert"


def masked(folder: Path) -> None:
    key = "bert.pooler.dense.weight"
    change_weights(
        folder,
        lambda held: held | {f"{key}_mask": (held[key] > 0).float(), f"{key}_orig": held.pop(key)},
    )


def dangling(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("nowhere")


def in_parts(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="20KB")


def without_index(folder: Path) -> None:
    in_parts(folder)
    (folder / f"{WEIGHTS}.index.json").unlink()


def renamed(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "weights.safetensors")


def named(folder: Path) -> None:
    renamed(folder)
    change_config(folder, transformers_weights="weights.safetensors")


def exported(folder: Path) -> Path:
    whole = load_classifier(folder)
    scheme = Scheme.of(whole).removing(parse_heads("L0H1,L1H0,L1H1,L1H2,L1H3"))
    export_model(whole, scheme, folder / "out", dataset=tiny_dataset())
    return folder / "out"


def second(folder: Path) -> None:
    (folder / "model_ema.safetensors").write_bytes((folder / WEIGHTS).read_bytes())


def pickled(folder: Path, name: str = "pytorch_model.bin") -> None:
    torch.save(weights_of(folder), folder / name)


def newer(folder: Path) -> None:
    pickled(folder)
    os.utime(folder / WEIGHTS, (1e9, 1e9))


def pickled_alone(folder: Path) -> None:
    pickled(folder)
    torch.save({}, folder / "optimizer.pt")
    (folder / WEIGHTS).unlink()


def of_tensorflow(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "tf_model.h5")


def pointer(folder: Path) -> None:
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\nsize 6\n")


def checkpoints(folder: Path) -> None:
    for number in ("500", "1500", "1000"):
        model_folder(folder / f"checkpoint-{number}")
    (folder / "config.json").unlink()


def adapter(folder: Path) -> None:
    settings = {"peft_type": "LORA", "base_model_name_or_path": "some/base"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def adapter_alone(folder: Path) -> None:
    adapter(folder)
    (folder / "config.json").unlink()
    renamed(folder)


def more(**tensors: torch.Tensor) -> Callable[[Path], None]:
    given = {key.replace("__", "."): tensor for key, tensor in tensors.items()}
    return lambda folder: change_weights(folder, lambda found: found | given)


def all_named(rename: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: change_weights(
        folder, lambda found: {rename(key): of for key, of in found.items()}
    )


def in_integers(folder: Path) -> None:
    change_weights(folder, lambda found: found | {QUERY: found[QUERY].to(torch.int8)})


def config(**settings: object) -> Callable[[Path], None]:
    return lambda folder: change_config(folder, **settings)


def without(start: str) -> Callable[[Path], None]:
    return lambda folder: change_weights(
        folder, lambda found: {key: of for key, of in found.items() if not key.startswith(start)}
    )


def pruned(folder: Path) -> None:
    change_weights(folder, lambda found: remove_heads("bert", 0, head_rows(0, 2, 3), found))


def one_output(folder: Path) -> None:
    change_config(folder, id2label={"0": "score"}, label2id={"score": 0})
    cut = ("classifier.weight", "classifier.bias")
    change_weights(folder, lambda found: found | {key: found[key][:1] for key in cut})


def with_tanh(folder: Path) -> None:
    one_output(folder)
    change_config(folder, sbert_ce_default_activation_function="torch.nn.modules.activation.Tanh")


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def another_vocabulary(folder: Path) -> None:
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    without_tokenizer(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens))


def special_alone(folder: Path) -> None:
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if number < 5}
    change_json(folder, "tokenizer.json", model=model)


def more_rows(folder: Path, rows: int = 600) -> None:
    key = "bert.embeddings.word_embeddings.weight"
    change_config(folder, vocab_size=rows)
    change_weights(folder, lambda found: found | {key: torch.cat([found[key]] * 14)[:rows]})


def another_kind(folder: Path) -> None:
    change_json(folder, "tokenizer_config.json", tokenizer_class="RobertaTokenizer")
    more_rows(folder, 60)


def capitals(folder: Path) -> None:
    cleaning = json.loads((folder / "tokenizer.json").read_text())["normalizer"]
    change_json(folder, "tokenizer.json", normalizer=cleaning | {"lowercase": False})
    change_json(folder, "tokenizer_config.json", tokenizer_class="BertTokenizer")


def added(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<e1>", "<e2>"])
    tokenizer.save_pretrained(folder)


def one_type(folder: Path) -> None:
    key = "bert.embeddings.token_type_embeddings.weight"
    change_config(folder, type_vocab_size=1)
    change_weights(folder, lambda found: found | {key: found[key][:1]})


OWN = {"AutoModelForSequenceClassification": "mean.BertForSequenceClassification"}
CASES = {
    "config.json, model.safetensors, tokenizer.json": Case(lambda folder: None),
    "weights in parts with their index": Case(in_parts),
    "weights that the config names": Case(named),
    "a model that bhpvas exported": Case(exported),
    "a second .safetensors file": Case(
        second, r"read from model.safetensors; model_ema.safetensors beside it is not"
    ),
    "a newer pickled file": Case(newer, r"; pytorch_model.bin, which is newer, beside it is not"),
    "weights of another name alone": Case(renamed, "weights.safetensors: rename it"),
    "parts without their index": Case(without_index, r"without the model.safetensors.index.json"),
    "pickled weights alone": Case(pickled_alone, r"pickled \(pytorch_model.bin\).*two lines"),
    "weights of TensorFlow, Flax, ONNX or GGUF alone": Case(of_tensorflow, "of TensorFlow alone"),
    "a pointer in place of a file": Case(pointer, "`git lfs pull`"),
    "checkpoint folders of a training": Case(
        checkpoints, r"3 checkpoints .*-500, .*-1000, .*-1500\).*the last being .*/checkpoint-1500"
    ),
    "a link to a file that is not there": Case(dangling, "is a link to a file that is not there"),
    "a file given as the model": Case(lambda folder: folder / WEIGHTS, "is a file: give the fold"),
    "an adapter alone": Case(adapter_alone, "holds an adapter for 'some/base'.*merge_and_unload"),
    "an adapter beside the weights": Case(adapter, "lies an adapter for 'some/base'.*merge_and_un"),
    "an adapter inside the weights": Case(
        more(bert__encoder__layer__1__lora_A__weight=torch.ones(2)), "adapter .*lora_A.*merge_and_u"
    ),
    "masks of `torch.nn.utils.prune`": Case(masked, r"prune.remove\(module, 'weight'\)"),
    "further tensors that the stock model lacks": Case(
        more(speaker__weight=torch.ones(2)), "hold speaker.weight, which BertForSequenceClass"
    ),
    "heads for other tasks, counters of positions": Case(
        more(cls__bias=torch.ones(2), bert__embeddings__position_ids=torch.arange(40)[None])
    ),
    "a pooler that its classifiers do not use": Case(
        more(roberta__pooler__dense__weight=torch.ones(2, 2)),
        "roberta.pooler.dense.weight is left out",
        family="roberta",
    ),
    "names with `_orig_mod.`, `module.` or `model.` before them": Case(
        all_named(lambda key: f"_orig_mod.{key}"), "without the “_orig_mod.”"
    ),
    "names of older versions, or without the base model's": Case(
        all_named(
            lambda key: key.removeprefix("bert.").replace("LayerNorm.weight", "LayerNorm.gamma")
        )
    ),
    "integer or float8 weights": Case(in_integers, f"hold int8 numbers, {QUERY} first"),
    "a config that says it is quantised": Case(
        config(quantization_config={"quant_method": "gptq"}), r"by gptq, .*dequantize\(\)"
    ),
    "a class of its own in the config": Case(
        config(architectures=["MeanForSequenceClassification"]), "is a MeanForSequenceClass"
    ),
    "code of its own in the config": Case(config(auto_map=OWN), "needs code of its own"),
    "a config without architectures, and a classifier in the weights": Case(
        config(architectures=None), r'the line "architectures": \["BertForSequenceClassification"\]'
    ),
    "a config without model_type": Case(config(model_type=None), '"model_type": "bert"'),
    "a base model without a classifier": Case(
        without("classifier."), "lacks 2 weights .*classifier.weight first.*fine-tune it"
    ),
    "fewer tensors than the config asks for": Case(
        without("bert.pooler"), "lacks 2 weights .*bert.pooler.dense.weight first.*download"
    ),
    "tensors of other sizes than the config states": Case(
        config(intermediate_size=128), "has 64 × 32 numbers, .* states 128 × 32"
    ),
    "narrower queries, keys and values": Case(
        pruned, r'layer 0 has 24 rows of queries .* says 32; write .* 1 head that .*"pruned_heads"'
    ),
    "heads that `pruned_heads` names and the weights have": Case(
        config(pruned_heads={"0": [1]}), "have all heads of layer 0"
    ),
    "`pruned_neurons` and `feed_forward_sizes` that do not fit each other": Case(
        config(pruned_neurons={"0": "80" + "00" * 7}, feed_forward_sizes=[62, 64]),
        r"layers that have the feed_forward_sizes \[62, 64\] lack of 64: take both from the same",
    ),
    "a convolution over neighbouring tokens": Case(
        config(conv_kernel_size=3),
        r"has a convolution over neighbouring tokens \(conv_kernel_size\)",
        family="deberta-v2",
    ),
    "a matrix of queries, keys and values head by head": Case(
        config(model_type="deberta"), "which keeps queries, .* fine-tune a DeBERTa-v3, its success"
    ),
    "fewer buckets of relative positions than transformers counts": Case(
        config(relative_attention_num_buckets=16),
        "has 16 buckets of relative positions, where transformers reads 32",
        family="mpnet",
    ),
    "more outputs than names": Case(
        config(id2label=dict(enumerate("abc"))),
        r"has 2 outputs .*names 3 labels \(a, b, c\)",
    ),
    "one output": Case(one_output, data=SCORES),
    "an activation after the score that is neither sigmoid nor identity": Case(
        with_tanh, "puts 'torch.nn.modules.activation.Tanh' after the score"
    ),
    "several labels at once by `problem_type`": Case(
        config(problem_type="multi_label_classification")
    ),
    "several scores at once by `problem_type`": Case(
        config(problem_type="regression"), "gives 2 scores at once"
    ),
    "names of labels as a list, or with spaces or line ends": Case(
        config(id2label=["negative\n", " positive"], label2id=None)
    ),
    "names of labels in `label2id` alone": Case(config(id2label=None)),
    "labels that `id2label` and `label2id` number in two ways": Case(
        config(label2id={"positive": 0, "negative": 1}),
        "numbers 'negative' 0 in its id2label, which is read, and 1 in its label2id",
    ),
    "names in `id2label`, and another number in `num_labels`": Case(
        config(num_labels=3), "names 2 labels in its id2label and counts 3 in num_labels"
    ),
    "no tokenizer": Case(without_tokenizer, "tokenizer of .* is missing: add its tokenizer.json"),
    "a vocabulary of another class": Case(
        another_vocabulary,
        "RobertaTokenizer, .* no tokenizer.json nor vocab.json and merges.txt, but vocab.txt",
        family="roberta",
    ),
    "a tokenizer of special tokens alone": Case(special_alone, "knows its 5 special tokens alone"),
    "a tokenizer.json of another kind than its class": Case(
        another_kind, "of the kind WordPiece, and the class RobertaTokenizer makes a BPE"
    ),
    "far fewer tokens than embeddings": Case(
        more_rows, "has 46 tokens and the model embeddings for 600: it may be"
    ),
    "a tokenizer.json that prepares texts otherwise than its class": Case(
        capitals, "says lowercase: false, and the class BertTokenizer true"
    ),
    "more tokens than embeddings": Case(
        added, r"was given 2 tokens \('<e1>' first\).*resize_token_embeddings"
    ),
    "code of its own for the tokenizer": Case(
        lambda folder: change_json(
            folder, "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.Own"]}
        ),
        "tokenizer of .* needs code of its own",
    ),
    "one token type, and pairs": Case(one_type, data=PAIRS),
    "token types for a model that knows none": Case(
        lambda folder: change_json(
            folder,
            "tokenizer_config.json",
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        ),
        data=PAIRS,
        family="mpnet",
    ),
    "a tokenizer that does not know the sentences": Case(
        lambda folder: None, "100% of the tokens of 'foreign' are unknown.*--max-unknown", FOREIGN
    ),
}


def rows() -> dict[str, str]:
    """What happens to each thing that a folder may have, by the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    found = {row[0].strip(): row[1].strip() for row in cells if len(row) == 4}
    return {row: says for row, says in found.items() if row != "what the folder has"}


def test_every_family_is_listed() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    listed = {row[0]: row[1] for row in cells if len(row) == 3 and row[1].startswith("`")}
    known = {family.title: f"`{family.name}`" for family in FAMILIES.values()}
    assert listed == {"family": "`model_type`"} | known


def test_every_row_is_tried() -> None:
    assert list(rows()) == list(CASES)


@pytest.mark.parametrize("row", CASES)
def test_a_folder_gets_what_its_row_says(tmp_path: Path, row: str) -> None:
    case, says = CASES[row], rows()[row]
    folder = model_folder(tmp_path / "folder", case.family)
    folder = case.make(folder) or folder
    if "once it reads them" in says:
        found = load_classifier(folder)
        with pytest.raises(ModelError, match=case.said):
            evaluate(found, case.data)
        read = load_classifier(folder, max_unknown=1)
        assert evaluate(read, case.data).n == len(case.data)
    elif says.startswith("refused"):
        for read_it in (read_info, load_classifier):
            with pytest.raises(ModelError, match=case.said) as error:
                read_it(folder)
            assert "folder" in str(error.value) and "\n" not in str(error.value)
    else:
        assert says.startswith("read")
        info, found = read_info(folder), load_classifier(folder)
        assert info.geometry == found.geometry
        names = ("score",) if case.data is SCORES else ("negative", "positive")
        assert info.label_names == found.label_names == names and info.task == found.task
        assert info.notes == found.notes
        assert len(found.notes) == ("with a note" in says)
        assert re.search(case.said, " ".join(found.notes))
        assert evaluate(found, case.data).n == len(case.data)
