"""Front matter of a report: title, summary, numbers that are read first, cautions."""

from __future__ import annotations

from math import isfinite

import pandas as pd

from bhpvas import text
from bhpvas.charts.model_measures import UNPRUNED
from bhpvas.charts.step_texts import done
from bhpvas.evaluation.comparison import headline_change, outcomes
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.model.cost import neurons_kept
from bhpvas.report.findings import Findings
from bhpvas.report.sections.costs import PRUNED, both_measures
from bhpvas.tasks.base import Metric, measured_text


def title(found: Findings) -> str:
    """What the report is about."""
    count, neurons = len(found.mask.masked), len(found.mask.masked_neurons or ())
    parts = [text.plural(count, "head")] if count else []
    parts += [text.plural(neurons, "neuron")] if neurons else []
    what = f"without {' and '.join(parts)}" if parts else "with every head"
    return f"{found.classifier.name} {what}"


def summary(found: Findings) -> list[str]:
    """What was removed and what it costs, in sentences of Markdown's plainest kind: no markup."""
    mask, before, after = found.mask, found.before, found.after
    total = mask.kept_count + len(mask.masked)
    recovered = [done(step) for step in found.scheme.path() if step.what == "recover"]
    removed = []
    if mask.masked:
        removed.append(f"{len(mask.masked)} of {text.plural(total, 'attention head')}")
    if neurons := len(mask.masked_neurons or ()):
        every = text.plural(_neurons_before(found), "feed-forward neuron")
        removed.append(f"{neurons:,} of {every}")
    said = f"{' and '.join(removed)} are removed"
    if not removed:
        said = f"All {text.plural(total, 'attention head')} are kept"
    if recovered:
        said += f", and the rest is {' and then '.join(dict.fromkeys(recovered))}"
    rows = both_measures(found)
    first, row = rows.loc[UNPRUNED], rows.loc[PRUNED]
    lines = [
        f"{said}.",
        f"On {text.plural(after.n, 'sentence')} of {after.dataset} the "
        f"{found.task.headline.title_in_text} "
        f"{_cost(before, after, same=bool(pd.isna(row['divergence'])))} {found.fairness}",
        f"What is left has {text.big(row['parameters'])} parameters "
        f"({text.relative_change(first['parameters'], row['parameters'])}) and costs "
        f"{text.big(row['flops_per_sentence'])} FLOPs a sentence "
        f"({text.relative_change(first['flops_per_sentence'], row['flops_per_sentence'])}), so it "
        f"can be {row['speed_bound']:.2f} times as fast at most.",
    ]
    if found.latencies is not None:
        up = found.latencies.speed_up("pruned")
        lines[-1] += (
            f" Measured: {text.median(*up, 2)} times, "
            f"{found.latencies.batch} sentences of {found.latencies.length} tokens at once on "
            f"{found.latencies.device}."
        )
    return lines


def tiles(found: Findings) -> list[tuple[str, str, str]]:
    """The numbers that are read first: what, value, remark."""
    rows = both_measures(found)
    before, after = rows.loc[UNPRUNED], rows.loc[PRUNED]
    total, every = found.mask.kept_count + len(found.mask.masked), _neurons_before(found)
    neurons = sum(neurons_kept(found.classifier.geometry, found.mask))
    seen = "" if found.learnt_from.clean else f"; {found.learnt_from.share} learnt from"
    costs = (("Parameters", "parameters"), ("FLOPs a sentence", "flops_per_sentence"))
    metric = found.task.headline
    name, (lost, gained) = metric.name, found.task.became
    ends = metric.interval_text(after[f"{name}_low"], after[f"{name}_high"])
    was = f"was {metric.value_text(before[name])}{seen}"
    said = [
        ("Heads kept", f"{found.mask.kept_count}", f"of {total}"),
        *([("Neurons kept", f"{neurons:,}", f"of {every:,}")] if neurons < every else []),
        (
            metric.title,
            metric.value_text(after[name]),
            ", ".join(filter(None, (ends, was))),
        ),
        _change_tile(metric, after),
        (
            "Answers changed",
            f"{after['flipped']:.0f}",
            f"{after['lost']:.0f} {lost}, {after['gained']:.0f} {gained}",
        ),
        *(
            (what, text.big(after[name]), text.relative_change(before[name], after[name]))
            for what, name in costs
        ),
        ("Speed", f"≤ {after['speed_bound']:.2f}{text.CROSS}", "by arithmetic"),
    ]
    if found.latencies is not None:
        up = found.latencies.speed_up("pruned")
        said[-1] = (
            "Speed, measured",
            f"{up.value:.2f}{text.CROSS}",
            f"({up.low:.2f}{text.DASH}{up.high:.2f}), at most {after['speed_bound']:.2f}",
        )
    return said


def _change_tile(metric: Metric, row: pd.Series) -> tuple[str, str, str]:
    """The change of the headline; nothing where it is the same model."""
    title = "Change, points" if metric.share else "Change"
    if pd.isna(row["divergence"]):
        return title, text.NOTHING, ""
    change = metric.change_text(row["change"]).removesuffix(" points")
    return title, change, metric.change_interval_text(row["change_low"], row["change_high"])


def cautions(found: Findings) -> list[str]:
    """What a reader has to know before trusting a number."""
    said = []
    if found.shared:
        said.append(
            f"{found.shared:,} of {text.plural(len(found.evaluation), 'evaluation sentence')} are "
            "calibration sentences as well, as the model reads them: orders and recoveries that "
            "the curves learn from these may look better than they are."
        )
    if truncated := found.read.truncated:
        said.append(
            "Cut, because longer than the model reads: "
            f"{text.plural(truncated, 'evaluation sentence')}."
        )
    return [*said, *dict.fromkeys(found.read.notes + found.read_calibration.notes)]


def requested(found: Findings) -> str:
    """What was asked for, where no command line says it."""
    asked = found.asked
    said = f"{text.plural(asked.random, 'random order')}, from seed {asked.seed} on"
    said += ", every head removed alone" * asked.ablation
    return said + (f", latency at {text.plural(asked.tokens, 'token')}" if asked.tokens else "")


def _neurons_before(found: Findings) -> int:
    """How many feed-forward neurons the unpruned model has."""
    return sum(neurons_kept(found.classifier.geometry, found.classifier.full_mask()))


def _cost(before: Evaluation, after: Evaluation, *, same: bool) -> str:
    """What became of the headline, as "the accuracy …" goes on; ``same``: it is one model."""
    task, metric = before.task, before.task.headline
    was, is_ = (measured_text(metric, one.headline) for one in (before, after))
    if same:
        return f"is {is_}; this is the unpruned model."
    became = outcomes(before, after)
    lost, gained = ((became == what).sum() for what in ("lost", "gained"))
    changed = text.plural(int((became != "same").sum()), "answer")
    when = "" if before.is_single_label else f" ({task.changed_if(before.labels)})"
    return (
        f"goes from {was} to {is_}: {_change(before, after)}. "
        f"{changed} of {after.n:,} changed{when}, {lost} {task.became[0]} and "
        f"{gained} {task.became[1]}."
    )


def _change(before: Evaluation, after: Evaluation) -> str:
    """The change of the headline with its interval and p, and what that is of."""
    metric, change = before.task.headline, headline_change(before, after)
    if not isfinite(change.change):
        return "the change is not defined"
    interval = metric.change_interval_text(change.low, change.high)
    return (
        f"{metric.change_text(change.change)} {interval}, {text.p_value(change.p)} "
        f"({before.task.test_in_brackets})"
    )
