"""Section on the subject: what was pruned, and on what that was decided and measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bhpvas import text
from bhpvas.charts import style
from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.data_record import side_by_side
from bhpvas.report import tables
from bhpvas.report.blocks import Data, Section, TableBlock
from bhpvas.report.findings import Findings


def section(found: Findings) -> Section:
    """The section as it stands in the report."""
    classifier, geometry = found.classifier, found.classifier.geometry
    scheme = found.scheme
    share = geometry.head_parameters * classifier.full_mask().kept_count / geometry.parameters
    facts = {
        "Model": classifier.source,
        "Revision": classifier.revision or text.NOTHING,
        "Fingerprint": classifier.fingerprint,
        "Geometry": f"{geometry.layers} layers {text.CROSS} {geometry.heads} heads of size "
        f"{geometry.head_size}; hidden size {geometry.hidden_size}, feed-forward "
        f"{geometry.intermediate_size}, at most {geometry.max_length} tokens",
        "Parameters": f"{geometry.parameters:,}, {text.percent(share)}% of them in the heads",
        "Labels": ", ".join(classifier.label_names),
        "Computed": f"{str(classifier.dtype).removeprefix('torch.')} on {classifier.device}",
        "Scheme": f"{scheme.name}, step {scheme.current} of {len(scheme.steps) - 1}",
    }
    parts = (
        ("calibration", "criteria, orders and recoveries learn from it", found.calibration),
        ("evaluation", f"every accuracy is measured on it, and {_learnt(found)}", found.evaluation),
    )  # fmt: skip
    labels = classifier.label_names
    frame = pd.DataFrame(
        [
            {
                "split": name,
                "name": data.name,
                "sentences": len(data),
                **dict(zip(labels, _balance(data, len(labels)), strict=True)),
                "fingerprint": data.fingerprint,
            }
            for name, _, data in parts
        ]
    )
    return Section(
        "subject",
        "Model and data",
        "What was pruned, and the sentences on which that was decided and measured.",
        [
            (
                TableBlock(
                    "Model",
                    "",
                    ["", ""],
                    [[tables.name(name), tables.text(value)] for name, value in facts.items()],
                ),
                TableBlock(
                    "Data",
                    "Sentences of each split, and how many carry each label.",
                    ["Split", "Sentences", "Labels", "Fingerprint"],
                    [
                        [
                            tables.name(name),
                            tables.text(f"{data.name}: {len(data):,}", use),
                            _labels(data, labels),
                            tables.text(data.fingerprint[:16], wrap=False),
                        ]
                        for name, use, data in parts
                    ],
                    Data("data", frame),
                ),
            ),
            TableBlock(
                "What was read",
                "Columns, labels and rows of each split, and how the model reads its sentences.",
                ["", "Calibration", "Evaluation"],
                [
                    [tables.name(name), tables.text(one), tables.text(other)]
                    for name, one, other in side_by_side(found.read_calibration, found.read)
                ],
            ),
        ],
    )


def _learnt(found: Findings) -> str:
    """What learnt from the evaluation split: the scheme's steps, and this report itself."""
    if found.learnt_from.clean and not found.shared:
        return "nothing learns from it"
    of = "sentence is one" if found.shared == 1 else "sentences are"
    shared = f"; {found.shared:,} {of} of the calibration split as well"
    return f"{found.learnt_from.line()} by the scheme" + shared * bool(found.shared)


def _balance(data: Dataset, classes: int) -> list[int]:
    return np.bincount(data.labels, minlength=classes).tolist()


def _labels(data: Dataset, names: Sequence[str]) -> str:
    counts = _balance(data, len(names))
    shown = "".join(
        tables.key(style.class_colour(index), f"{name} {count:,}")
        for index, (name, count) in enumerate(zip(names, counts, strict=True))
    )
    return f'<td><span class="keys">{shown}</span></td>'
