"""Section on the subject: what was pruned, and on what that was decided and measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bhpvas import text
from bhpvas.charts import style
from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.data_record import DataRecord, side_by_side
from bhpvas.report import tables
from bhpvas.report.blocks import Data, Section, TableBlock
from bhpvas.report.findings import Findings
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.single_label import SingleLabel


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
        **_answers(classifier.task),
        "Computed": f"{str(classifier.dtype).removeprefix('torch.')} on {classifier.device}",
        "Scheme": f"{scheme.name}, step {scheme.current} of {len(scheme.steps) - 1}",
    }
    single = isinstance(classifier.task, SingleLabel)
    use = f"every {'accuracy' if single else 'metric'} is measured on it, and {_learnt(found)}"
    parts = (
        ("calibration", "criteria, orders and recoveries learn from it", found.calibration),
        ("evaluation", use, found.evaluation),
    )
    counts = {"calibration": _balance(found.read_calibration, found.calibration, classifier.task)}
    counts["evaluation"] = _balance(found.read, found.evaluation, classifier.task)
    frame = pd.DataFrame(
        [
            {
                "split": name,
                "name": data.name,
                "sentences": len(data),
                **counts[name],
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
                    _carry(classifier.task),
                    ["Split", "Sentences", "Labels", "Fingerprint"],
                    [
                        [
                            tables.name(name),
                            tables.text(f"{data.name}: {len(data):,}", use),
                            _labels(counts[name]),
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


def _answers(task: Task) -> dict[str, str]:
    """What the model answers, by the name of a fact."""
    labels = {"Labels": ", ".join(task.label_names)}
    if isinstance(task, SingleLabel):
        return labels
    said = f"{task.title}{f', {task.setting}' if task.setting else ''}"
    return {"Task": said} | ({} if isinstance(task, Score) else labels)


def _carry(task: Task) -> str:
    """What is counted of the labels of each split."""
    if isinstance(task, Score):
        return "Sentences of each split, and how many have a label in each range."
    each = "each label" if isinstance(task, SingleLabel) else "each label, alone or with others"
    return f"Sentences of each split, and how many carry {each}."


def _balance(read: DataRecord, data: Dataset, task: Task) -> dict[str, int]:
    """How many sentences carry each label, or have one in each range of scores."""
    if not isinstance(task, SingleLabel):
        return dict(read.rows)
    counts = np.bincount(data.labels, minlength=len(task.label_names)).tolist()
    return dict(zip(task.label_names, counts, strict=True))


def _labels(counts: Mapping[str, int]) -> str:
    shown = "".join(
        tables.key(style.class_colour(index), f"{name} {count:,}")
        for index, (name, count) in enumerate(counts.items())
    )
    return f'<td><span class="keys">{shown}</span></td>'
