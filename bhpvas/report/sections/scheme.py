"""Section on the scheme: its steps, the reasons of its proposals, how its recoveries went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import pandas as pd

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.curves import method_title
from bhpvas.charts.kept_map import kept_map
from bhpvas.charts.layer_errors import layer_errors
from bhpvas.charts.scheme_tree import TreeStep, scheme_tree
from bhpvas.charts.step_texts import briefly, changed_parts, in_full, steps_table, what_happened
from bhpvas.charts.training_curves import HELD_OUT, TRAINING, training_curves
from bhpvas.evaluation.learnt_from import LearntFrom
from bhpvas.model.cost import neurons_kept
from bhpvas.recovery import LayerReport
from bhpvas.report import tables
from bhpvas.report.blocks import Block, Data, Picture, Section, TableBlock
from bhpvas.report.findings import Findings, layer_reasons, own_order, reasons
from bhpvas.scheme.step import Step, headline_in
from bhpvas.tasks.base import Metric
from bhpvas.tasks.single_label import ACCURACY

#: Heads that a row of steps names.
MOST_HEADS = 12
_OPEN = " An open point: some of the sentences that measure the step were learnt from."


def section(found: Findings) -> Section:
    """The section as it stands in the report."""
    scheme, mask = found.scheme, found.mask
    known, metric = found.metrics(), found.task.headline
    headlines = {number: headline_in(one) for number, one in known.items()}
    on_path = {step.id for step in scheme.path()}
    seen = {number: found.learnt_before(scheme.step(number)) for number in known}
    learnt = {number: one.known for number, one in seen.items()}
    tree = scheme_tree(
        [
            TreeStep(
                step=step.id,
                parent=step.parent,
                kind=step.what,
                kept=scheme.mask_at(step.id).kept_count,
                what=briefly(step),
                headline=headlines.get(step.id),
                note=step.note,
                hover=in_full(scheme, step, headlines.get(step.id), learnt.get(step.id, 0), metric),
                learnt=learnt.get(step.id, 0),
                on_path=step.id in on_path,
                current=step.id == scheme.current,
            )
            for step in scheme.steps
        ],
        metric,
    )
    # A legend shows a trace by its first mark, which is the start's.
    tree.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": "square", "size": 12, "color": style.SELECTED},
        name="current",
    )
    frame = steps_table(scheme, known, learnt, metric)
    total = text.plural(mask.kept_count + len(mask.masked), "head")
    blocks: list[Block | tuple[Block, ...]] = [
        (
            Picture(
                "Steps",
                f"From the start down: how many of {total} a step keeps, its "
                f"{metric.title_in_text} with the 95% interval, drawn on the right, and what it "
                f"did. Dotted: the {metric.title_in_text} of the start."
                + _OPEN
                * any(learnt.values()),
                tree,
                Data("steps", frame),
                f"Tree of {text.plural(len(scheme.steps), 'step')}",
                [("current", style.SELECTED, "the step that this report is of")],
            ),
            Picture(
                "Heads that stay",
                "Layers upward from 0, heads left to right; crosses are removed heads.",
                kept_map(mask),
                Data("heads-kept", _kept_frame(found)),
                f"{mask.kept_count} of {total} kept",
            ),
        ),
        _steps(found, known, seen, frame),
    ]
    if mask.masked_neurons is not None:
        blocks.append(_layers(found))
    for step in scheme.path():
        if why := reasons(step):
            blocks.append(_reasons(step, why))
        if clauses := layer_reasons(step):
            blocks.append(_layer_reasons(step, clauses))
    for step in scheme.path():
        blocks += _recovery(step, metric)
    return Section(
        "scheme",
        "The scheme",
        "Every step by which heads or weights changed. Steps on the way to the present one were "
        "measured anew for this report; a branch shows what the scheme file keeps of it.",
        blocks,
    )


def _layers(found: Findings) -> TableBlock:
    """What each layer keeps."""
    geometry, mask = found.classifier.geometry, found.mask
    before = found.classifier.full_mask()
    width = neurons_kept(geometry, before)
    rows = [
        (layer, heads, before.kept_per_layer[layer], neurons, width[layer])
        for layer, (heads, neurons) in enumerate(
            zip(mask.kept_per_layer, neurons_kept(geometry, mask), strict=True)
        )
    ]
    names = ["layer", "heads_kept", "heads", "neurons_kept", "neurons"]
    return TableBlock(
        "What each layer keeps",
        "Attention heads and feed-forward neurons. A part that keeps none is gone as a whole: it "
        "adds the same vector to every token.",
        ["Layer", "Heads", "Feed-forward neurons"],
        [
            [
                tables.name(f"L{layer}"),
                tables.text(f"{heads} of {of}", wrap=False),
                tables.text(f"{neurons:,} of {every:,}", wrap=False),
            ]
            for layer, heads, of, neurons, every in rows
        ],
        Data("layers-kept", pd.DataFrame(rows, columns=names)),
    )


def _seen(counted: LearntFrom) -> str:
    """How many of the sentences that measure a step were learnt from, behind its accuracy."""
    if counted.clean:
        return ""
    return f", {'unknown how many' if counted.unknown else f'{counted.known:,}'} learnt from"


def _kept_frame(found: Findings) -> pd.DataFrame:
    order = {head: place for place, head in enumerate(own_order(found.scheme), 1)}
    return pd.DataFrame(
        [
            {
                "head": str(head),
                "layer": head.layer,
                "kept": head not in found.mask.removed,
                "removed_as": order.get(head),
            }
            for head in found.mask.every_head()
        ]
    ).astype({"removed_as": "Int64"})


def _steps(
    found: Findings,
    known: Mapping[int, Mapping[str, Any]],
    seen: Mapping[int, LearntFrom],
    frame: pd.DataFrame,
) -> TableBlock:
    metric, rows = found.task.headline, []
    for step in found.scheme.steps:
        one = known.get(step.id, {})
        loss, scored = one.get("loss"), ("not measured", "")
        if one:
            value, low, high = headline_in(one)
            ends = metric.interval_text(low, high)
            scored = (metric.value_text(value), ends + _seen(seen[step.id]))
        rows.append(
            [
                tables.name(f"{step.id}" + (" ◆" if step.id == found.scheme.current else "")),
                tables.text("" if step.parent is None else str(step.parent), wrap=False),
                tables.text(briefly(step), step.note),
                tables.text(changed_parts(step, MOST_HEADS)),
                tables.text(_settings(step)),
                tables.text(text.kept_briefly(found.scheme.mask_at(step.id))),
                tables.text(*scored, wrap=False),
                tables.text(text.NOTHING if loss is None else f"{loss:.3f}", wrap=False),
                tables.text(step.time.replace("T", " ")[:16], wrap=False),
            ]
        )
    return TableBlock(
        "Every step",
        "◆ is the step that this report is of; the file has every head and setting.",
        ["Step", "After", "What", "Which", "Settings", "Kept", metric.title, "Loss", "Time (UTC)"],
        rows,
        Data("steps", frame.assign(settings=[_settings(step) for step in found.scheme.steps])),
    )


def _settings(step: Step) -> str:
    """What a step's method was told, without its results."""
    said = [] if step.seed is None else [f"seed {step.seed}"]
    for name, value in step.settings.items():
        if name == "calibration" and isinstance(value, dict):
            if step.learnt_from is not None and not step.learnt_from:
                continue  # it was free to look at them, and drew at random
            said.append(f"learnt from {value.get('sentences')} sentences of {value.get('name')}")
        elif isinstance(value, str | int | float) and name not in _RESULTS:
            said.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(said)


#: Scalars among the settings that a method found and was not told.
_RESULTS = ("cost", "divergence", "held_out", "seconds", "steps", "stopped_at")


def _reasons(step: Step, why: Sequence[tuple[str, str]]) -> TableBlock:
    frame = pd.DataFrame(why, columns=["head", "reason"])
    frame.insert(0, "place", range(1, len(frame) + 1))
    return TableBlock(
        f"Why these heads, step {step.id}",
        f"What {method_title(step.method)} said of each head when it proposed it, first to go "
        "first.",
        ["", "Head", "Reason"],
        [
            [tables.text(str(place), wrap=False), tables.name(head), tables.text(reason)]
            for place, (head, reason) in enumerate(why, 1)
        ],
        Data(f"reasons-step-{step.id}", frame),
        folded=True,
    )


def _layer_reasons(step: Step, clauses: Sequence[str]) -> TableBlock:
    return TableBlock(
        f"Why these widths, step {step.id}",
        "What the search said of each layer: KL divergence from the unpruned answers, in nats, on "
        "calibration sentences.",
        ["Reason"],
        [[tables.text(why)] for why in clauses],
        Data(f"widths-step-{step.id}", pd.DataFrame({"reason": clauses})),
        folded=True,
    )


# What every point of a training has, of whatever task.
_POINT = ("step", "training_loss", "loss", "accuracy")
#: Of which part of a layer a recovery reports errors, by the name of the setting.
_REFITTED = {"layers": "attention", "feed_forward": "feed-forward"}


def _recovery(step: Step, metric: Metric) -> list[Picture]:
    """How a recovery went, as far as the step keeps it."""
    if step.what != "recover":
        return []
    found = [
        Picture(
            f"{what_happened(step)}, {part}",
            f"Error of each layer's {part} output on held-out calibration sentences: 0 is as in "
            "the unpruned model, 1 no better than its mean.",
            layer_errors(layers),
            Data(f"{setting.replace('_', '-')}-step-{step.id}", pd.DataFrame(layers)),
            f"Error of each layer's {part} output before and after",
            [("before", style.LOST, "before"), ("after", style.GAINED, "after")],
        )
        for setting, part in _REFITTED.items()
        if _all_have(layers := step.settings.get(setting), *LayerReport._fields)
    ]
    course = step.settings.get("course")
    if _all_have(course, *_POINT, *(["headline"] if metric != ACCURACY else [])):
        best = step.settings.get("best")
        figure = training_curves(
            course,
            steps=max(int(step.settings.get("steps") or 0), course[-1]["step"], 1),
            best=best.get("step") if isinstance(best, dict) else None,
            metric=metric,
        )
        picture = Picture(
            what_happened(step),
            f"Loss and {metric.title_in_text} as the training went on; the diamond is the state "
            "that was kept.",
            figure,
            Data(f"training-step-{step.id}", pd.DataFrame(course)),
            "Course of the training",
            [("training loss", TRAINING, "training"), ("loss", HELD_OUT, "held-out sentences")],
        )
        found.append(picture)
    return found


def _all_have(rows: Any, *keys: str) -> TypeGuard[list[dict[str, Any]]]:
    """Whether these are rows with such numbers: a scheme file may hold anything there."""
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(
            isinstance(row, dict)
            and all(key in row and isinstance(row[key], int | float | None) for key in keys)
            for row in rows
        )
    )
