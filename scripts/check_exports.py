"""Export the sample model in every format and let other environments say how well it answers.

    python scripts/check_exports.py OLD/bin/python NEW/bin/python

Each interpreter has transformers and torch, of any version that docs/exports.md names, and needs no
bhpvas: what runs there is scripts/load_export.py, isolated. The graph for ONNX Runtime is run by
this interpreter. Prints the table of docs/exports.md; fails where an accuracy is not the one that
bhpvas measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import bhpvas
from bhpvas.neurons import NeuronSet
from bhpvas.recovery.finetuning import TuningSettings, finetune

LOADER = Path(__file__).resolve().parent / "load_export.py"
#: A layer without heads, and uneven ones elsewhere.
EMPTY = "L1H0,L2H3,L2H4,L3H1," + ",".join(f"L4H{head}" for head in range(12))
#: A layer without feed-forward neurons, and uneven ones elsewhere, of 1,536 each.
NARROW = NeuronSet.of_layers(6, 1536, {0: range(0, 1536, 3), 3: range(1536), 5: range(1400)})


#: What is exported: which neurons go beside the heads, how weights are recovered, number type.
CASES: dict[str, tuple[NeuronSet | None, str | None, str]] = {
    "a layer without heads": (None, None, "float32"),
    "the same, compensated": (None, "compensate", "float32"),
    "the same, fine-tuned": (None, "finetune", "float32"),
    "the same, in bfloat16": (None, None, "bfloat16"),
    "and one without neurons, compensated": (NARROW, "compensate", "float32"),
}


def export(folder: Path, case: str, splits: bhpvas.Splits) -> dict[str, bhpvas.Exported]:
    """One case in every format, by its name."""
    neurons, recovery, dtype = CASES[case]
    classifier = bhpvas.load_classifier(dtype=dtype)
    scheme = bhpvas.Scheme.of(classifier).removing(bhpvas.parse_heads(EMPTY), neurons=neurons)
    folder.mkdir()
    if recovery is not None:
        learnt = (
            finetune(classifier, splits.calibration, scheme.mask, TuningSettings(embeddings=True))
            if recovery == "finetune"
            else bhpvas.recover(classifier, splits.calibration, scheme.mask, recovery)
        )
        learnt.weights.save(folder)
        scheme = scheme.recovered(learnt.weights.fingerprint, recovery)
    return {
        format: bhpvas.export_model(
            classifier, scheme, folder / format, format,
            dataset=splits.evaluation, weights=folder,
        )
        for format in bhpvas.FORMATS
    }  # fmt: skip


def version(python: str) -> str:
    """The version of an interpreter's transformers."""
    code = "import transformers; print(transformers.__version__)"
    return subprocess.check_output([python, "-I", "-c", code], text=True).strip()


def answers(python: str, sentences: Path, trust: str, folders: Iterable[Path]) -> list[Any]:
    """What the loader prints for each folder, in an environment without bhpvas."""
    done = subprocess.run(
        [python, "-I", str(LOADER), str(sentences), trust, *map(str, folders)],
        cwd=sentences.parent,
        env=os.environ | {"HF_MODULES_CACHE": str(sentences.parent), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Export, ask every environment, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pythons", metavar="PYTHON", nargs="+")
    given = parser.parse_args()
    splits = bhpvas.sample_splits()
    with tempfile.TemporaryDirectory() as work:
        made = {
            case: export(Path(work, f"case-{number}"), case, splits)
            for number, case in enumerate(CASES)
        }
        data = splits.evaluation.aligned(bhpvas.load_classifier().label_names)
        sentences = Path(work, "sentences.json")
        sentences.write_text(json.dumps([data.texts, data.labels.tolist()]), encoding="utf-8")
        columns: dict[str, list[Any]] = {}
        for format in bhpvas.FORMATS:
            folders = [exports[format].folder for exports in made.values()]
            for python in [sys.executable] if format == "onnx" else given.pythons:
                old, found = version(python).startswith("4."), []
                for (neurons, _, _), folder in zip(CASES.values(), folders, strict=True):
                    plainly = format != "transformers" or (old and neurons is None)
                    trust = "plain" if plainly else "trust"
                    found += answers(python, sentences, trust, [folder])
                columns[f"{format}, {found[0]['version']}"] = found
    print(f"| | bhpvas | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 2) + "|")
    wrong = False
    for number, (case, exports) in enumerate(made.items()):
        cells = []
        for column, found in columns.items():
            after = exports[column.split(",")[0]].after
            one = found[number]
            apart = float(np.abs(np.array(one["logits"]) - after.logits).max())
            cells.append(f"{100 * one['accuracy']:.2f}% ({apart:.0e})")
            # A model that runs in bfloat16 rounds its answers to it.
            halved = one.get("dtype") == "torch.bfloat16"
            wrong |= bool(one["ours"]) or not (halved or one["accuracy"] == after.accuracy)
        after = exports["transformers"].after
        print(f"| {case} | {100 * after.accuracy:.2f}% | {' | '.join(cells)} |")
    if wrong:
        raise SystemExit("An accuracy is not the one that bhpvas measured.")


if __name__ == "__main__":
    main()
