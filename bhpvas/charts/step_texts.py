"""Steps of a scheme in words and as a table: the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bhpvas import text
from bhpvas.charts.scheme_tree import Accuracy
from bhpvas.charts.timeline import TimelinePoint
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import Step

#: Of no step is it known that sentences that measure it were learnt from.
NONE_LEARNT: Mapping[int, int] = {}
#: Of no step it matters what its FLOPs are, as where heads alone were removed.
NO_FLOPS: Mapping[int, float] = {}
#: What a recovery did to the weights, by the name of its method.
DONE = {
    "compensate": "compensated",
    "thorough": "thoroughly compensated",
    "rescale": "rescaled",
    "finetune": "fine-tuned",
}


def done(step: Step) -> str:
    """What a step "recover" did to the weights, in a word."""
    return DONE.get(step.method, step.method)


def outcome(scheme: Scheme, step: Step) -> str:
    """What a step "recover" did, how long it took, and what it changed, in Markdown."""
    said = f"**Step {step.id}: {text.verbatim(done(step))}**"
    if "seconds" in step.settings:
        said += f" in {text.seconds(step.settings['seconds'])}"
    before, data = scheme.step(step.parent or 0), str(step.metrics.get("data_fingerprint"))
    if before.measured_on(data) and step.measured_on(data):
        said += (
            f", accuracy {text.percent(before.metrics['accuracy'])} {text.ARROW} "
            f"**{text.percent(step.metrics['accuracy'])}%** "
            f":small[on {text.plural(step.metrics['n'], 'evaluation sentence')}]"
        )
    return said


def timeline_points(
    scheme: Scheme,
    accuracies: Mapping[int, Accuracy],
    learnt: Mapping[int, int] = NONE_LEARNT,
    flops: Mapping[int, float] = NO_FLOPS,
) -> list[TimelinePoint]:
    """The steps whose accuracy is known, by its number, as a figure wants them.

    ``learnt`` is how many of the sentences that measured a step were learnt from, ``flops`` the
    share of the unpruned model's FLOPs that it keeps.
    """
    on_path = {step.id for step in scheme.path()}
    return [
        TimelinePoint(
            step=step.id,
            parent=step.parent,
            kept=scheme.layers * scheme.heads - len(step.removed),
            accuracy=accuracies[step.id].value,
            low=accuracies[step.id].low,
            high=accuracies[step.id].high,
            what=what_happened(step),
            learnt=learnt.get(step.id, 0),
            flops=flops.get(step.id),
            on_path=step.id in on_path,
            current=step.id == scheme.current,
        )
        for step in scheme.steps
        if step.id in accuracies
    ]


def what_happened(step: Step) -> str:
    """A step in a line."""
    if step.what == "start":
        return "Start: nothing removed"
    if step.what == "recover":
        return f"Step {step.id}: {done(step)}"
    verb = "removed" if step.what == "remove" else "restored"
    return f"Step {step.id}: {verb} {changed_parts(step, 4)} ({step.method})"


def changed_parts(step: Step, at_most: int = 6) -> str:
    """What went or came back: the first few heads by name, and how many neurons."""
    parts = [text.head_list(step.heads, at_most)] if step.heads else []
    if step.neurons is not None:
        parts.append(text.plural(len(step.neurons), "neuron"))
    return ", ".join(parts)


def briefly(step: Step) -> str:
    """A step in a few words: how many heads, and who chose them."""
    if step.what == "start":
        return "start"
    if step.what == "recover":
        return done(step)
    how = step.method if step.method == "by hand" else f"by {step.method}"
    counts = [str(len(step.heads))] if step.heads else []
    if step.neurons is not None:
        counts = [text.plural(len(step.heads), "head")] if step.heads else []
        counts.append(text.plural(len(step.neurons), "neuron"))
    return f"{step.what}d {', '.join(counts)} {how}"


def weights_origin(scheme: Scheme, step_id: int | None = None) -> str | None:
    """Where the weights that hold at a step (default: the current one) are from.

    None where they are the model's own.
    """
    changed = [step for step in scheme.path(step_id) if step.weights]
    return f"{done(changed[-1])} at step {changed[-1].id}" if changed else None


def in_full(scheme: Scheme, step: Step, accuracy: Accuracy | None, learnt: int = 0) -> str:
    """A step with its heads, accuracy and note, for a figure.

    ``learnt`` is how many of the sentences that measured it were learnt from.
    """
    said = f"<b>{text.literal(what_happened(step))}</b><br>"
    said += f"{text.kept_briefly(scheme.mask_at(step.id))} kept"
    if accuracy is not None:
        value, low, high = accuracy
        said += f", accuracy {text.percent(value)}% {text.interval(low, high)}"
        said += f"<br>{text.plural(learnt, 'sentence')} learnt from" if learnt else ""
    return said + (f"<br>{text.literal(step.note)}" if step.note else "")


def steps_table(
    scheme: Scheme,
    metrics: Mapping[int, Mapping[str, Any]],
    learnt: Mapping[int, int] = NONE_LEARNT,
) -> pd.DataFrame:
    """One row a step, the start first, with its metrics by its number; what is missing is empty.

    ``learnt`` is how many of the sentences that measured a step were learnt from, as far as that is
    known: empty where a step on the way learnt from sentences of which nothing is kept. Without it
    there is no such column.
    """
    rows, measured = [], ("loss", "f1", "parameters", "flops_per_sentence")
    for step in scheme.steps:
        known = metrics.get(step.id, {})
        low, high = known.get("accuracy_interval", (None, None))
        rows.append(
            {
                "step": step.id,
                "after": step.parent,
                "what": step.what,
                "method": step.method,
                "heads": ",".join(map(str, step.heads)),
                "kept": scheme.mask_at(step.id).kept_count,
                "removed": ",".join(map(str, sorted(step.removed))),
                "neurons_removed": len(step.removed_neurons or ()),
                "accuracy": known.get("accuracy"),
                "accuracy_low": low,
                "accuracy_high": high,
                **({"learnt_from": _learnt_from(scheme, step, learnt)} if learnt else {}),
                **{name: known.get(name) for name in measured},
                "weights": scheme.weights_at(step.id),
                "seed": step.seed,
                "note": step.note,
                "time": step.time,
            }
        )
    whole = ["after", "seed", *(["learnt_from"] if learnt else [])]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


def _learnt_from(scheme: Scheme, step: Step, learnt: Mapping[int, int]) -> int | None:
    unknown = any(one.origin_unknown for one in scheme.path(step.id))
    return None if unknown else learnt.get(step.id)
