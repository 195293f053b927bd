"""Steps of a scheme in words and as a table: the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bhpvas import text
from bhpvas.charts.timeline import TimelinePoint
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import Step
from bhpvas.tasks.base import Measured, Metric, measured_text
from bhpvas.tasks.single_label import ACCURACY

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


def outcome(scheme: Scheme, step: Step, metric: Metric = ACCURACY) -> str:
    """What a step "recover" did, how long it took, and how it changed the headline, in Markdown."""
    said = f"**Step {step.id}: {text.verbatim(done(step))}**"
    if "seconds" in step.settings:
        said += f" in {text.seconds(step.settings['seconds'])}"
    before, data = scheme.step(step.parent or 0), str(step.metrics.get("data_fingerprint"))
    if before.measured_on(data) and step.measured_on(data):
        was, is_ = (metric.value_text(one.headline.value) for one in (before, step))
        said += (
            f", {metric.title_in_text} {was.removesuffix('%')} {text.ARROW} **{is_}** "
            f":small[on {text.plural(step.metrics['n'], 'evaluation sentence')}]"
        )
    return said


def timeline_points(
    scheme: Scheme,
    headlines: Mapping[int, Measured],
    learnt: Mapping[int, int] = NONE_LEARNT,
    flops: Mapping[int, float] = NO_FLOPS,
) -> list[TimelinePoint]:
    """The steps whose headline is known, by its number, as a figure wants them.

    ``learnt`` is how many of the sentences that measured a step were learnt from, ``flops`` the
    share of the unpruned model's FLOPs that it keeps.
    """
    on_path = {step.id for step in scheme.path()}
    return [
        TimelinePoint(
            step=step.id,
            parent=step.parent,
            kept=scheme.layers * scheme.heads - len(step.removed),
            headline=headlines[step.id],
            what=what_happened(step),
            learnt=learnt.get(step.id, 0),
            flops=flops.get(step.id),
            on_path=step.id in on_path,
            current=step.id == scheme.current,
        )
        for step in scheme.steps
        if step.id in headlines
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


def in_full(
    scheme: Scheme,
    step: Step,
    headline: Measured | None,
    learnt: int = 0,
    metric: Metric = ACCURACY,
) -> str:
    """A step with its heads, headline and note, for a figure.

    ``learnt`` is how many of the sentences that measured it were learnt from.
    """
    said = f"<b>{text.literal(what_happened(step))}</b><br>"
    said += f"{text.kept_briefly(scheme.mask_at(step.id))} kept"
    if headline is not None:
        said += f", {metric.title_in_text} {measured_text(metric, headline)}"
        said += f"<br>{text.plural(learnt, 'sentence')} learnt from" if learnt else ""
    return said + (f"<br>{text.literal(step.note)}" if step.note else "")


def steps_table(
    scheme: Scheme,
    metrics: Mapping[int, Mapping[str, Any]],
    learnt: Mapping[int, int] = NONE_LEARNT,
    metric: Metric = ACCURACY,
) -> pd.DataFrame:
    """One row a step, the start first, with its metrics by its number; what is missing is empty.

    The headline, a ``metric``, stands first, with its interval. Of an accuracy loss and F1 follow,
    of another one all that the steps know by name.

    ``learnt`` is how many of the sentences that measured a step were learnt from, as far as that is
    known: empty where a step on the way learnt from sentences of which nothing is kept. Without it
    there is no such column.
    """
    rows, costs = [], ("parameters", "flops_per_sentence")
    known_by_name = (one["metrics"] for one in metrics.values() if one.get("accuracy") is None)
    named = dict.fromkeys(name for one in known_by_name for name in one)
    others = [name for name in named if name != metric.name] or ["loss", "f1"]
    for step in scheme.steps:
        known = metrics.get(step.id, {})
        headline = _named(known, metric.name, interval=True)
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
                **headline,
                **({"learnt_from": _learnt_from(scheme, step, learnt)} if learnt else {}),
                **{name: one for other in others for name, one in _named(known, other).items()},
                **{name: known.get(name) for name in costs},
                "weights": scheme.weights_at(step.id),
                "seed": step.seed,
                "note": step.note,
                "time": step.time,
            }
        )
    whole = ["after", "seed", *(["learnt_from"] if learnt else [])]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


def _named(known: Mapping[str, Any], name: str, *, interval: bool = False) -> dict[str, Any]:
    """A metric of a step in columns, with its interval where it is one of those by name."""
    if known and known.get("accuracy") is None:
        found = known["metrics"].get(name, {})
        value, ends, interval = found.get("value"), found.get("interval"), True
    else:
        value, ends = known.get(name), known.get(f"{name}_interval")
    low, high = ends or (None, None)
    return {name: value} | ({f"{name}_low": low, f"{name}_high": high} if interval else {})


def _learnt_from(scheme: Scheme, step: Step, learnt: Mapping[int, int]) -> int | None:
    unknown = any(one.origin_unknown for one in scheme.path(step.id))
    return None if unknown else learnt.get(step.id)
