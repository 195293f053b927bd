"""Model card of an export: what was removed, how, what it costs, and how to make it again."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bhpvas.evaluation.comparison import (
    accuracy_change_interval,
    change_text,
    flips,
    headline_change,
    mcnemar,
    outcomes,
)
from bhpvas.heads import HeadId, format_heads
from bhpvas.model.runtimes import Timing, processor
from bhpvas.tasks.base import measured_text
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.text import plural, signed, verbatim
from bhpvas.version import versions

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.evaluation.data_record import DataRecord
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.evaluation.learnt_from import LearntFrom
    from bhpvas.export.exported import Exported
    from bhpvas.model.classifier import Classifier
    from bhpvas.model.latency import Latencies
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.scheme.step import Step


def model_card(
    found: Exported, classifier: Classifier, scheme: Scheme, dataset: Dataset, data: str | None
) -> str:
    """The text of the card, as Markdown with the metadata of the hub on top."""
    mask, heads = found.mask, plural(len(found.mask.removed), "head")
    removed, of = [heads], [f"{heads} of {mask.layers * mask.heads}"]
    if mask.neurons is not None:
        removed.append(plural(len(mask.neurons), "feed-forward neuron"))
        of.append(f"{removed[-1]} of {mask.layers * mask.neurons.width:,}")
    revision = f", revision {classifier.revision}" if classifier.revision else ""
    numbered = enumerate(scheme.path()[1:], start=1)
    steps = "\n".join(f"{number}. {_step(step)}" for number, step in numbered)
    steps = steps or "Nothing was changed."
    made_with = [f"{name} {version}" for name, version in versions(*found.format.packages).items()]
    sections = [
        _metadata(classifier),
        f"# {classifier.name} without {' and '.join(removed)}",
        f"{classifier.source}{revision} (fingerprint {classifier.fingerprint}) with "
        f"{' and '.join(of)} removed by bhpvas. {found.format.summary}",
        "## Use\n\n```python\n"
        + found.format.usage(classifier.family, found.mask).replace("FOLDER", "this-folder")
        + "```",
        f"## What was removed\n\n{_removed(found)}",
        f"## How\n\n{steps}\n\nThe whole record, with settings and measurements, is in "
        "scheme/scheme.json.",
        f"## What it costs and saves\n\n{_figures(found, dataset)}",
        f"## What was read\n\n{_read(found.read)}",
        f"## Made with\n\n{', '.join(made_with)}; {platform.system()} {platform.machine()}.",
        "## Make it again\n\nWith the original model, in this folder:\n\n```\n"
        f"{command(found, classifier, data)}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def command(found: Exported, classifier: Classifier, data: str | None) -> str:
    """The command that makes the same export from the scheme in its folder."""
    words = ["bhpvas", "export"]
    if classifier.source != "sample":
        words += ["--model", classifier.source]
    if data is not None:
        words += ["--data", data]
    if isinstance(classifier.task, SeveralLabels) and classifier.task.setting:
        words += ["--threshold", f"{classifier.task.threshold:g}"]
    dtype = str(classifier.dtype).removeprefix("torch.")
    if dtype != "float32":
        words += ["--dtype", dtype]
    words += ["--scheme", "scheme/scheme.json", "--format", found.format.name]
    if found.int8 is not None:
        words.append("--int8")
    if (times := found.latencies) is not None and times.batch != Timing().batch:
        words += ["--batch", str(times.batch)]
    if times is not None and times.length != Timing().length:
        words += ["--length", str(times.length)]
    return shlex.join([*words, "--out", "../again"])


def _metadata(classifier: Classifier) -> str:
    lines = ["pipeline_tag: text-classification", "tags: [bhpvas, pruned]"]
    if classifier.revision is not None:  # a model of the hub
        name = classifier.source.partition("@")[0]
        lines.append(f"base_model: {json.dumps(name)}")
    return "\n".join(["---", *lines, "---"])


def _removed(found: Exported) -> str:
    mask, neurons = found.mask, found.mask.neurons
    columns = ["layer", "kept", "removed"] + ["feed-forward neurons kept"] * (neurons is not None)
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for layer in range(mask.layers):
        kept = [head for head in mask if head.layer == layer]
        removed = [head for head in sorted(mask.removed) if head.layer == layer]
        cells = [str(layer), _list(kept), _list(removed)]
        if neurons is not None:
            cells.append(f"{neurons.width - neurons.counts[layer]:,} of {neurons.width:,}")
        lines.append(f"| {' | '.join(cells)} |")
    if not found.format.smaller:
        return "\n".join(lines)
    if empty := [layer for layer, kept in enumerate(mask.kept_per_layer) if kept == 0]:
        note = f"\n{_layers(empty)}: no head is left, and the attention adds a constant vector."
        if found.format.name == "transformers":
            note += (
                " transformers 4 cannot run a layer without heads, so the weight file holds one "
                "whose weights are all zero in its place; elsewhere it is left out."
            )
        lines.append(note)
    counts = () if neurons is None else neurons.counts
    if empty := [layer for layer, gone in enumerate(counts) if neurons and gone == neurons.width]:
        lines.append(
            f"\n{_layers(empty)}: no feed-forward neuron is left, and that part adds a constant "
            "vector."
        )
    return "\n".join(lines)


def _layers(numbers: list[int]) -> str:
    return f"{'Layers' if len(numbers) > 1 else 'Layer'} {', '.join(map(str, numbers))}"


def _list(heads: list[HeadId]) -> str:
    return ", ".join(f"H{head.head}" for head in heads) or "–"


def _step(step: Step) -> str:
    seed = "" if step.seed is None else f", seed {step.seed}"
    note = f": {step.note}" if step.note else ""
    source = _source(step)
    if step.what == "recover":
        return f"Weights recovered ({step.method}{seed}{source}){note}"
    verb = "Removed" if step.what == "remove" else "Restored"
    what = [format_heads(step.heads)] if step.heads else []
    if step.neurons is not None:
        what.append(f"of the feed-forward neurons {step.neurons}")
    return f"{verb} {' and '.join(what)} ({step.method}{seed}{source}){note}"


def _source(step: Step) -> str:
    """From how many sentences a step learnt, and from which as far as the step keeps that."""
    if step.origin_unknown:
        return ", learnt from sentences that were not kept"
    if not step.learnt_from:
        return ""
    kept = step.settings.get("calibration")
    name = kept.get("name") if isinstance(kept, dict) else None
    count = plural(len(step.learnt_from), "different sentence")
    return f", learnt from {count}" + (f" of {verbatim(name)}" if isinstance(name, str) else "")


def _figures(found: Exported, dataset: Dataset) -> str:
    before, after = found.before, found.after
    columns = {"before": before, "after": after}
    if found.int8 is not None:
        columns["after, int8"] = found.int8
    flops = [found.flops_before, *[found.flops_per_sentence] * len(columns)]
    rows = {
        **_metrics(columns),
        "parameters": [f"{found.parameters_before:,}", *[f"{found.parameters:,}"] * len(columns)],
        "FLOPs a sentence": [f"{one / 1e6:,.1f} million" for one in flops],
    }
    if (times := found.latencies) is not None:
        medians = [times.milliseconds(name) for name in times.names]
        rows["milliseconds (95% interval)"] = [
            f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" for one in medians
        ]
    lines = [
        f"Measured on {before.n} sentences of {before.dataset} "
        f"(fingerprint {dataset.fingerprint[:16]}); {found.learnt_from.line()}.\n",
        f"| | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
        *(f"| {name} | {' | '.join(row[: len(columns)])} |" for name, row in rows.items()),
        "",
        _change("After", before, after),
        *_warnings(found.learnt_from),
    ]
    if found.int8 is not None and found.int8_learnt_from is not None:
        lines.append(_change("After, int8", before, found.int8))
        lines += _warnings(found.int8_learnt_from)
    if times is not None:
        lines.append(f"\n{_timed(times)}")
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in found.weight_files.items())
    lines += [
        f"\nAt the lengths of these sentences the arithmetic allows it to be "
        f"{found.speed_bound:.2f} times as fast, at most. Files: {sizes}.",
        f"\nThese files were read back: on these sentences no logit differs by more than "
        f"{found.difference:.1g} from the masked model, in float32.{_int8(found)}",
        f"\n{_how(before)}",
    ]
    return "\n".join(lines)


def _int8(found: Exported) -> str:
    """What its figures hold for, which other figures do not depend on."""
    if found.int8 is None:
        return ""
    headline = found.before.task.headline.title_in_text
    return (
        f" int8 answers otherwise: its {headline} above is its own, and moves with what shares a "
        "batch, since activations are rounded by the range of all of it. It was measured in "
        "batches of sentences of about equal length."
    )


def _metrics(columns: Mapping[str, Evaluation]) -> dict[str, list[str]]:
    """A row for each metric of the task, and a cell for each evaluation."""
    every = columns.values()
    first = next(iter(every))
    if first.is_single_label:
        return {
            "accuracy (95% interval)": [_accuracy(one) for one in every],
            "loss": [f"{one.loss:.4f}" for one in every],
            verbatim(first.f1_title): [f"{one.f1:.4f}" for one in every],
        }
    metrics = {name: first.task.metric(name) for name in first.measured}
    return {
        f"{verbatim(metric.title_in_text)} (95% interval)": [
            measured_text(metric, one.measured[name]) for one in every
        ]
        for name, metric in metrics.items()
    }


def _how(before: Evaluation) -> str:
    """How intervals and p were found."""
    if before.is_single_label:
        return (
            "Intervals: Wilson 1927 for an accuracy, Tango 1998 for a change; p: exact McNemar "
            "test."
        )
    return (
        f"Intervals: percentiles of a bootstrap of the sentences, of queries where they rank; "
        f"Student's for the loss, Wilson 1927 for a share, after Jeffreys for F1 of one label; "
        f"p: {before.task.test}. An answer counts as changed if "
        f"{before.task.changed_if(before.labels)}."
    )


def _timed(found: Latencies) -> str:
    """What the times are of, where they were taken, and how much faster that is."""
    timing = Timing(found.engine, found.batch, found.length)
    place = f"{processor()}, " if found.device == "cpu" else f"{found.device}, "
    ratios = []
    for name in found.names[1:]:
        ratio, low, high = found.speed_up(name)
        said = "" if name == "after" else f" ({name})"
        ratios.append(f"{ratio:.2f} times as fast{said}, 95% interval {low:.2f} to {high:.2f}")
    return (
        f"Milliseconds: one pass of {timing}, {plural(found.threads, 'thread')} ({place}"
        f"{platform.system()} {platform.machine()}), the median of "
        f"{plural(len(found.seconds), 'round')} in turns with the model before in the same format: "
        f"{'; '.join(ratios)}. Another machine, batch or length has other times."
    )


def _warnings(counted: LearntFrom) -> list[str]:
    """What a reader has to know of the line before, each below it."""
    return [f"  - **{verbatim(warning)}**" for warning in counted.warnings()]


def _read(found: DataRecord) -> str:
    facts = [f"- {name}: {verbatim(said)}" for name, said in found.facts().items() if said]
    return "\n".join([*facts, *(f"- {verbatim(note)}" for note in found.notes)])


def _accuracy(evaluation: Evaluation) -> str:
    low, high = evaluation.accuracy_interval
    return f"{100 * evaluation.accuracy:.1f}% ({100 * low:.1f} to {100 * high:.1f})"


def _change(name: str, before: Evaluation, after: Evaluation) -> str:
    if not before.is_single_label:
        return _headline_change(name, before, after)
    change, low, high = accuracy_change_interval(before, after)
    test = mcnemar(before, after)
    text = (
        f"- {name}: {signed(100 * change)} points (95% interval {signed(100 * low)} to "
        f"{signed(100 * high)}); {plural(len(flips(before, after)), 'prediction')} changed, "
        f"{test.lost} lost and {test.gained} gained (p = {test.p:.2g})"
    )
    return text.replace("-", "−").replace("− ", "- ", 1)


def _headline_change(name: str, before: Evaluation, after: Evaluation) -> str:
    """The change of another task's headline, and of its answers."""
    became, p = outcomes(before, after), headline_change(before, after).p
    said = f"{before.task.headline.title} {change_text(before, after)}"
    lost, gained = ((became == what).sum() for what in ("lost", "gained"))
    return (
        f"- {name}: {said}{'' if p != p else f' (p = {p:.2g})'}; "
        f"{plural(len(flips(before, after)), 'answer')} changed, {lost} for the worse and {gained} "
        "for the better"
    )
