"""Front matter of a report: title, summary, numbers that are read first, cautions."""

from __future__ import annotations

import pandas as pd

from bhpvas import text
from bhpvas.charts.model_measures import MEASURES, UNPRUNED
from bhpvas.charts.step_texts import done
from bhpvas.evaluation.comparison import accuracy_change_interval, flips, mcnemar
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.model.cost import neurons_kept
from bhpvas.report.findings import Findings
from bhpvas.report.sections.costs import PRUNED, both_measures


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
        f"On {text.plural(after.n, 'sentence')} of {after.dataset} the accuracy "
        f"{_cost(before, after, same=bool(pd.isna(row['change'])))} {found.fairness}",
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
    said = [
        ("Heads kept", f"{found.mask.kept_count}", f"of {total}"),
        *([("Neurons kept", f"{neurons:,}", f"of {every:,}")] if neurons < every else []),
        (
            "Accuracy",
            f"{text.percent(after['accuracy'])}%",
            f"{text.interval(after['accuracy_low'], after['accuracy_high'])}, was "
            f"{text.percent(before['accuracy'])}%{seen}",
        ),
        ("Change, points", *MEASURES["Change, points"](after)),
        (
            "Answers changed",
            f"{after['flipped']:.0f}",
            f"{after['lost']:.0f} lost, {after['gained']:.0f} gained",
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
    """What became of the accuracy, as "the accuracy …" goes on; ``same``: it is one model."""
    if same:
        return f"is {_accuracy(after)}; this is the unpruned model."
    change, low, high = accuracy_change_interval(before, after)
    test, changed = mcnemar(before, after), len(flips(before, after))
    return (
        f"goes from {_accuracy(before)} to {_accuracy(after)}: {text.signed(100 * change)} points "
        f"{text.change_interval(low, high)}, {text.p_value(test.p)} (McNemar). "
        f"{text.plural(changed, 'answer')} of {after.n:,} changed, {test.lost} lost and "
        f"{test.gained} gained."
    )


def _accuracy(one: Evaluation) -> str:
    return f"{text.percent(one.accuracy)}% {text.interval(*one.accuracy_interval)}"
