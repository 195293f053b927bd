"""Measures of several models side by side, as they stand in a table."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from bhpvas import text
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.tasks.base import Metric

#: The name of the row that the others are compared with.
UNPRUNED = "Unpruned"
#: A value and a quieter remark, from a row of :func:`bhpvas.evaluation.comparison.measures` by its
#: name.
Said = Callable[[pd.Series], tuple[str, str]]


def _against(said: Said) -> Said:
    """What only another model than the first row's has."""
    return lambda row: (text.NOTHING, "") if pd.isna(row["divergence"]) else said(row)


def measures_of(found: Evaluation) -> dict[str, Said]:
    """What each measure of models that are evaluated as one was says of a row, by its title."""
    if found.is_single_label:
        return MEASURES
    task = found.task
    headline, *others = (task.metric(name) for name in found.measured if name != "loss")
    return {
        **{title: MEASURES[title] for title in _PARTS},
        headline.title: _metric(headline),
        "Change": _against(
            lambda row: (
                headline.change_text(row["change"]),
                headline.change_interval_text(row["change_low"], row["change_high"]),
            )
        ),
        "p of the change": _against(
            lambda row: (
                text.p_value(row["p_corrected"]),
                task.test_in_brackets + _corrected(row, "p"),
            )
        ),
        "Answers changed": _against(
            lambda row: (
                f"{row['flipped']:.0f}",
                f"{row['lost']:.0f} {task.became[0]}, {row['gained']:.0f} {task.became[1]}",
            )
        ),
        **{one.title: _metric(one) for one in others},
        f"Loss, {task.metric('loss').unit}": MEASURES["Loss, nats"],
        **{title: MEASURES[title] for title in _REST},
    }


def _corrected(row: pd.Series, p: str) -> str:
    """That a p is not of the row alone, where that makes it another."""
    return ", corrected" if row[f"{p}_corrected"] != row[p] else ""


def _metric(metric: Metric) -> Said:
    """A metric with its interval."""
    return lambda row: (
        metric.value_text(row[metric.name]),
        metric.interval_text(row[f"{metric.name}_low"], row[f"{metric.name}_high"]),
    )


_PARTS = ("Heads kept", "Neurons kept")
_REST = ("Change of loss", "KL from unpruned", "Parameters", "FLOPs a sentence")
#: What each measure of one label out of several says of a row, by its title.
MEASURES: dict[str, Said] = {
    "Heads kept": lambda row: (f"{row['heads_kept']:.0f}", ""),
    "Neurons kept": lambda row: (f"{row['neurons_kept']:,.0f}", ""),
    "Accuracy": lambda row: (
        f"{text.percent(row['accuracy'])}%",
        text.interval(row["accuracy_low"], row["accuracy_high"]),
    ),
    "Change, points": _against(
        lambda row: (
            text.signed(100 * row["change"]),
            text.change_interval(row["change_low"], row["change_high"]),
        )
    ),
    "Lost and gained": _against(
        lambda row: (
            f"{row['lost']:.0f} / {row['gained']:.0f}",
            text.p_value(row["mcnemar_p_corrected"]) + _corrected(row, "mcnemar_p"),
        )
    ),
    "Loss, nats": lambda row: (
        f"{row['loss']:.3f}",
        f"({row['loss_low']:.3f}{text.DASH}{row['loss_high']:.3f})",
    ),
    "Change of loss": _against(
        lambda row: (
            text.signed(row["loss_change"], 3),
            f"({text.signed(row['loss_change_low'], 3)} {text.ELLIPSIS} "
            f"{text.signed(row['loss_change_high'], 3)})",
        )
    ),
    "F1": lambda row: (
        f"{text.percent(row['f1'])}%",
        f"{text.interval(row['f1_low'], row['f1_high'])}, {row['f1_of']}",
    ),
    "KL from unpruned": _against(
        lambda row: (
            text.number(row["divergence"]),
            f"({text.number(row['divergence_low'])}{text.DASH}"
            f"{text.number(row['divergence_high'])})",
        )
    ),
    "Parameters": lambda row: (text.big(row["parameters"]), ""),
    "FLOPs a sentence": lambda row: (
        text.big(row["flops_per_sentence"]),
        ""
        if pd.isna(row["divergence"])
        else f"at most {row['speed_bound']:.2f}{text.CROSS} as fast",
    ),
}
