"""Section on costs: what the scheme costs and saves, beside the unpruned model."""

from __future__ import annotations

import pandas as pd

from bhpvas import text
from bhpvas.charts.model_measures import UNPRUNED, measures_of
from bhpvas.evaluation.comparison import measures
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.report import tables
from bhpvas.report.blocks import Data, Section, TableBlock
from bhpvas.report.findings import Findings

PRUNED = "Pruned"


def both_measures(found: Findings) -> pd.DataFrame:
    """The measures of the unpruned and the pruned model, by name."""
    both = {UNPRUNED: found.before, PRUNED: found.after}
    return measures(found.classifier, both, found.lengths).set_index("scheme")


def intervals_of(found: Evaluation) -> str:
    """How the intervals of a task's metrics are found, and of what test p is."""
    if found.is_single_label:
        return (
            "Brackets are 95% intervals: Wilson for accuracies, Tango for their change, Student "
            "for losses, Jeffreys for F1; p is McNemar's exact test."
        )
    task = found.task
    return (
        "Brackets are 95% intervals: Student for losses and KL, Wilson for whole sets, Jeffreys "
        "for F1 of a label, percentiles of a bootstrap of the sentences (of queries, where they "
        f"rank) for the rest; p is of the {task.test}. An answer counts as changed where "
        f"{task.changed_if(found.labels)}."
    )


def section(found: Findings) -> Section:
    """The section as it stands in the report."""
    rows = both_measures(found)
    table = [
        [
            tables.name(title),
            *(tables.text(*said(row), wrap=False) for _, row in rows.iterrows()),
        ]
        for title, said in measures_of(found.before).items()
    ]
    frame = rows.reset_index()
    if found.latencies is not None:
        known = found.latencies
        table.append(
            [
                tables.name("Milliseconds a batch"),
                *(
                    tables.text(text.median(*known.milliseconds(name), 1), wrap=False)
                    for name in known.names
                ),
            ]
        )
        frame["milliseconds"] = [known.milliseconds(name).value for name in known.names]
    said = (
        f"Both models on the same {text.plural(found.after.n, 'sentence')} of "
        f"{found.evaluation.name}. {intervals_of(found.before)} "
    ) + found.fairness
    return Section(
        "costs",
        "What it costs and saves",
        said,
        [TableBlock("", "", ["", *rows.index], table, Data("measures", frame))],
    )
