"""The sections of a report, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

from bhpvas.charts import cells, style, words
from bhpvas.charts.columns import Column, Weighing, columns
from bhpvas.charts.columns import table as head_table
from bhpvas.charts.curves import (
    accuracy_curves,
    curve_points,
    line_style,
    method_title,
    recovery_title,
)
from bhpvas.charts.head_map import head_map
from bhpvas.charts.kept_map import kept_map
from bhpvas.charts.measures import MEASURES, UNPRUNED
from bhpvas.charts.recovery import layer_errors
from bhpvas.charts.scheme_tree import Accuracy, TreeStep, scheme_tree
from bhpvas.charts.slices import slice_changes, slice_levels
from bhpvas.charts.steps import (
    briefly,
    done,
    in_full,
    steps_table,
    timeline_points,
    what_happened,
)
from bhpvas.charts.training import HELD_OUT, TRAINING, training_curves
from bhpvas.comparison import measures
from bhpvas.criteria import CRITERIA
from bhpvas.curves import Curve, band
from bhpvas.datasets import Dataset
from bhpvas.evaluation import Evaluation, accuracy_change_interval, flips, mcnemar
from bhpvas.recovery import LayerReport
from bhpvas.recovery.finetuning import Point
from bhpvas.report.blocks import Data, Picture, Section, Table
from bhpvas.report.findings import OWN, REFERENCE, Findings, own_order, reasons
from bhpvas.schemes import Step
from bhpvas.slices import groupings, sentence_table, slice_table

PRUNED = "Pruned"
#: Sentences that are listed; the file of their data has all.
MOST_SENTENCES = 200
#: Slices that a figure shows.
MOST_SLICES = 40
#: Heads that a row of steps names.
MOST_HEADS = 12
_BAND = 0.9


def title(found: Findings) -> str:
    """What the report is about."""
    count = len(found.mask.taken)
    what = f"without {words.plural(count, 'head')}" if count else "with every head"
    return f"{found.classifier.name} {what}"


def summary(found: Findings) -> list[str]:
    """What was removed and what it costs, in sentences of Markdown's plainest kind: no markup."""
    mask, before, after = found.mask, found.before, found.after
    total = mask.kept_count + len(mask.taken)
    recovered = [done(step) for step in found.scheme.path() if step.what == "recover"]
    said = f"{len(mask.taken)} of {words.plural(total, 'attention head')} are removed"
    if not mask.taken:
        said = f"All {words.plural(total, 'attention head')} are kept"
    if recovered:
        said += f", and the rest is {' and then '.join(dict.fromkeys(recovered))}"
    change, low, high = accuracy_change_interval(before, after)
    test = mcnemar(before, after)
    changed = len(flips(before, after))
    row = _measures(found).loc[PRUNED]
    first = _measures(found).loc[UNPRUNED]
    lines = [
        f"{said}.",
        f"On {words.plural(after.n, 'sentence')} of {after.dataset} the accuracy goes from "
        f"{_accuracy(before)} to {_accuracy(after)}: {words.signed(100 * change)} points "
        f"{words.change_interval(low, high)}, {words.p_value(test.p)} (McNemar). "
        f"{words.plural(changed, 'answer')} of {after.n:,} changed, {test.lost} lost and "
        f"{test.gained} gained.",
        f"What is left has {words.big(row['parameters'])} parameters "
        f"({words.relative_change(first['parameters'], row['parameters'])}) and costs "
        f"{words.big(row['flops_per_sentence'])} FLOPs a sentence "
        f"({words.relative_change(first['flops_per_sentence'], row['flops_per_sentence'])}), so it "
        f"can be {row['speed_bound']:.2f} times as fast at most.",
    ]
    if found.latencies is not None:
        up = found.latencies.speed_up("pruned")
        lines[-1] += (
            f" Measured: {words.median(*up, 2)} times, "
            f"{found.latencies.batch} sentences of {found.latencies.length} tokens at once on "
            f"{found.latencies.device}."
        )
    return lines


def tiles(found: Findings) -> list[tuple[str, str, str]]:
    """The numbers that are read first: what, value, remark."""
    rows = _measures(found)
    before, after = rows.loc[UNPRUNED], rows.loc[PRUNED]
    total = found.mask.kept_count + len(found.mask.taken)
    said = [
        ("Heads kept", f"{found.mask.kept_count}", f"of {total}"),
        (
            "Accuracy",
            f"{words.percent(after['accuracy'])}%",
            f"{words.interval(after['accuracy_low'], after['accuracy_high'])}, was "
            f"{words.percent(before['accuracy'])}%",
        ),
        (
            "Change, points",
            words.signed(100 * after["change"]),
            words.change_interval(after["change_low"], after["change_high"]),
        ),
        (
            "Answers changed",
            f"{after['flipped']:.0f}",
            f"{after['lost']:.0f} lost, {after['gained']:.0f} gained",
        ),
        (
            "Parameters",
            words.big(after["parameters"]),
            words.relative_change(before["parameters"], after["parameters"]),
        ),
        (
            "FLOPs a sentence",
            words.big(after["flops_per_sentence"]),
            words.relative_change(before["flops_per_sentence"], after["flops_per_sentence"]),
        ),
        ("Speed", f"≤ {after['speed_bound']:.2f}{words.CROSS}", "by arithmetic"),
    ]
    if found.latencies is not None:
        up = found.latencies.speed_up("pruned")
        said[-1] = (
            "Speed, measured",
            f"{up.value:.2f}{words.CROSS}",
            f"({up.low:.2f}{words.DASH}{up.high:.2f}), at most {after['speed_bound']:.2f}",
        )
    return said


def cautions(found: Findings) -> list[str]:
    """What a reader has to know before trusting a number."""
    said = []
    if found.shared:
        said.append(
            f"{found.shared} of {words.plural(len(found.evaluation), 'evaluation sentence')} are "
            "calibration sentences as well: what was learnt from them looks better than it is."
        )
    truncated = found.classifier.encode(found.evaluation).truncated
    if truncated:
        said.append(
            f"{words.plural(truncated, 'evaluation sentence')} are longer than the model reads, "
            "and were cut."
        )
    return said


def told(found: Findings) -> str:
    """What was asked for, where no command line says it."""
    asked = found.asked
    said = f"{words.plural(asked.random, 'random order')}, from seed {asked.seed} on"
    said += ", every head removed alone" * asked.ablation
    return said + (f", latency at {words.plural(asked.tokens, 'token')}" if asked.tokens else "")


def sections(found: Findings) -> list[Section]:
    """Every section, in the order in which it is read."""
    return [
        _subject(found),
        _costs(found),
        _scheme(found),
        _scores(found),
        _curves(found),
        _changes(found),
    ]


# --- model and data -------------------------------------------------------------------------------


def _subject(found: Findings) -> Section:
    classifier, geometry = found.classifier, found.classifier.geometry
    scheme = found.scheme
    share = geometry.head_parameters * geometry.layers * geometry.heads / geometry.parameters
    facts = {
        "Model": classifier.source,
        "Revision": classifier.revision or words.NOTHING,
        "Fingerprint": classifier.fingerprint,
        "Geometry": f"{geometry.layers} layers {words.CROSS} {geometry.heads} heads of size "
        f"{geometry.head_size}; hidden size {geometry.hidden_size}, feed-forward "
        f"{geometry.intermediate_size}, at most {geometry.max_length} tokens",
        "Parameters": f"{geometry.parameters:,}, {words.percent(share)}% of them in the heads",
        "Labels": ", ".join(classifier.label_names),
        "Computed": f"{str(classifier.dtype).removeprefix('torch.')} on {classifier.device}",
        "Scheme": f"{scheme.name}, step {scheme.current} of {len(scheme.steps) - 1}",
    }
    parts = (
        ("calibration", "criteria, orders and recoveries learn from it", found.calibration),
        ("evaluation", "every accuracy is measured on it, and nothing learns from it",
         found.evaluation),
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
                Table(
                    "Model",
                    "",
                    ["", ""],
                    [[cells.name(name), cells.text(value)] for name, value in facts.items()],
                ),
                Table(
                    "Data",
                    "Sentences of each split, and how many carry each label.",
                    ["Split", "Sentences", "Labels", "Fingerprint"],
                    [
                        [
                            cells.name(name),
                            cells.text(f"{data.name}: {len(data):,}", use),
                            _labels(data, labels),
                            cells.text(data.fingerprint[:16], wrap=False),
                        ]
                        for name, use, data in parts
                    ],
                    Data("data", frame),
                ),
            )
        ],
    )


def _balance(data: Dataset, classes: int) -> list[int]:
    return np.bincount(data.labels, minlength=classes).tolist()


def _labels(data: Dataset, names: Sequence[str]) -> str:
    counts = _balance(data, len(names))
    shown = "".join(
        cells.key(style.class_colour(index), f"{name} {count:,}")
        for index, (name, count) in enumerate(zip(names, counts, strict=True))
    )
    return f'<td><span class="keys">{shown}</span></td>'


# --- what it costs --------------------------------------------------------------------------------


def _measures(found: Findings) -> pd.DataFrame:
    """The measures of the unpruned and the pruned model, by name."""
    both = {UNPRUNED: found.before, PRUNED: found.after}
    return measures(found.classifier, both, found.lengths).set_index("scheme")


def _costs(found: Findings) -> Section:
    rows = _measures(found)
    table = [
        [
            cells.name(title),
            *(cells.text(*said(row), wrap=False) for _, row in rows.iterrows()),
        ]
        for title, said in MEASURES.items()
    ]
    frame = rows.reset_index()
    if found.latencies is not None:
        known = found.latencies
        table.append(
            [
                cells.name("Milliseconds a batch"),
                *(
                    cells.text(words.median(*known.milliseconds(name), 1), wrap=False)
                    for name in known.names
                ),
            ]
        )
        frame["milliseconds"] = [known.milliseconds(name).value for name in known.names]
    said = (
        f"Both models on the same {words.plural(found.after.n, 'sentence')} of "
        f"{found.evaluation.name}. Brackets are 95% intervals: Wilson for accuracies, Tango for "
        "their change, Student for losses, bootstrap for F1; p is McNemar's exact test."
    )
    return Section(
        "costs",
        "What it costs and saves",
        said,
        [Table("", "", ["", *rows.index], table, Data("measures", frame))],
    )


def _accuracy(one: Evaluation) -> str:
    return f"{words.percent(one.accuracy)}% {words.interval(*one.accuracy_interval)}"


# --- the scheme -----------------------------------------------------------------------------------


def _scheme(found: Findings) -> Section:
    scheme, mask = found.scheme, found.mask
    known = found.metrics()
    accuracies = {
        number: Accuracy(one["accuracy"], *one["accuracy_interval"])
        for number, one in known.items()
    }
    on_path = {step.id for step in scheme.path()}
    tree = scheme_tree(
        [
            TreeStep(
                step=step.id,
                parent=step.parent,
                kind=step.what,
                kept=scheme.mask_at(step.id).kept_count,
                what=briefly(step),
                accuracy=accuracies.get(step.id),
                note=step.note,
                hover=in_full(scheme, step, accuracies.get(step.id)),
                on_path=step.id in on_path,
                current=step.id == scheme.current,
            )
            for step in scheme.steps
        ]
    )
    frame = steps_table(scheme, known)
    total = words.plural(mask.kept_count + len(mask.taken), "head")
    blocks: list[Table | Picture | tuple[Table | Picture, ...]] = [
        (
            Picture(
                "Steps",
                f"From the start down: how many of {total} a step keeps, its accuracy with the 95% "
                "interval, drawn on the right, and what it did. Dotted: the accuracy of the start.",
                tree,
                Data("steps", frame),
                f"Tree of {words.plural(len(scheme.steps), 'step')}",
                [("nodes", style.SELECTED, "the step that this report is of")],
            ),
            Picture(
                "Heads that stay",
                "Layers upward from 0, heads left to right; crosses are removed heads.",
                kept_map(mask),
                Data("heads-kept", _kept_frame(found)),
                f"{mask.kept_count} of {total} kept",
            ),
        ),
        _steps(found, known, frame),
    ]
    for step in scheme.path():
        if why := reasons(step):
            blocks.append(_reasons(step, why))
    for step in scheme.path():
        if (picture := _recovery(step)) is not None:
            blocks.append(picture)
    return Section(
        "scheme",
        "The scheme",
        "Every step by which heads or weights changed. Steps on the way to the present one were "
        "measured anew for this report; a branch shows what the scheme file keeps of it.",
        blocks,
    )


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


def _steps(found: Findings, known: Mapping[int, Mapping[str, Any]], frame: pd.DataFrame) -> Table:
    rows = []
    for step in found.scheme.steps:
        one = known.get(step.id)
        scored = (
            cells.text("not measured", wrap=False)
            if one is None
            else cells.text(
                f"{words.percent(one['accuracy'])}%",
                words.interval(*one["accuracy_interval"]),
                wrap=False,
            )
        )
        rows.append(
            [
                cells.name(f"{step.id}" + (" ◆" if step.id == found.scheme.current else "")),
                cells.text("" if step.parent is None else str(step.parent), wrap=False),
                cells.text(briefly(step), step.note),
                cells.text(words.head_list(step.heads, MOST_HEADS)),
                cells.text(_settings(step)),
                cells.text(str(found.scheme.mask_at(step.id).kept_count), wrap=False),
                scored,
                cells.text(_loss(one), wrap=False),
                cells.text(step.time.replace("T", " ")[:16], wrap=False),
            ]
        )
    return Table(
        "Every step",
        "◆ is the step that this report is of; the file has every head and setting.",
        ["Step", "After", "What", "Heads", "Settings", "Kept", "Accuracy", "Loss", "Time (UTC)"],
        rows,
        Data("steps", frame.assign(settings=[_settings(step) for step in found.scheme.steps])),
    )


def _loss(metrics: Mapping[str, Any] | None) -> str:
    loss = (metrics or {}).get("loss")
    return words.NOTHING if loss is None else f"{loss:.3f}"


def _settings(step: Step) -> str:
    """What a step's method was told, without its results."""
    said = [] if step.seed is None else [f"seed {step.seed}"]
    for name, value in step.settings.items():
        if name == "calibration" and isinstance(value, dict):
            said.append(f"learnt from {value.get('sentences')} sentences of {value.get('name')}")
        elif isinstance(value, str | int | float) and name not in _RESULTS:
            said.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(said)


#: Scalars among the settings that a method found and was not told.
_RESULTS = ("held_out", "seconds", "steps", "stopped_at")


def _reasons(step: Step, why: Sequence[tuple[str, str]]) -> Table:
    frame = pd.DataFrame(why, columns=["head", "reason"])
    frame.insert(0, "place", range(1, len(frame) + 1))
    return Table(
        f"Why these heads, step {step.id}",
        f"What {method_title(step.method)} said of each head when it proposed it, first to go "
        "first.",
        ["", "Head", "Reason"],
        [
            [cells.text(str(row.place), wrap=False), cells.name(row.head), cells.text(row.reason)]
            for row in frame.itertuples()
        ],
        Data(f"reasons-step-{step.id}", frame),
        folded=True,
    )


def _recovery(step: Step) -> Picture | None:
    """How a recovery went, as far as the step keeps it."""
    layers, course = step.settings.get("layers"), step.settings.get("course")
    if step.what == "recover" and _all_have(layers, *LayerReport._fields):
        figure = layer_errors(layers)
        return Picture(
            f"{what_happened(step)}",
            "Error of each layer's attention output on held-out calibration sentences: 0 is as in "
            "the unpruned model, 1 no better than its mean.",
            figure,
            Data(f"layers-step-{step.id}", pd.DataFrame(layers)),
            "Error of each layer before and after",
            [("before", style.LOST, "before"), ("after", style.GAINED, "after")],
        )
    if step.what == "recover" and _all_have(course, *Point._fields):
        best = step.settings.get("best")
        figure = training_curves(
            course,
            steps=max(int(step.settings.get("steps") or 0), course[-1]["step"], 1),
            best=best.get("step") if isinstance(best, dict) else None,
        )
        return Picture(
            f"{what_happened(step)}",
            "Loss and accuracy as the training went on; the diamond is the state that was kept.",
            figure,
            Data(f"training-step-{step.id}", pd.DataFrame(course)),
            "Course of the training",
            [("training loss", TRAINING, "training"), ("loss", HELD_OUT, "held-out sentences")],
        )
    return None


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


# --- scores ---------------------------------------------------------------------------------------


def _scores(found: Findings) -> Section:
    every = columns(found.scores, found.ablation, Weighing())
    shown = {name: one for name, one in every.items() if name != "combined"}
    frame = head_table(every, found.mask)
    data, ablated = found.calibration, "ablation-loss" in shown
    maps = tuple(_map(found, one, frame) for one in shown.values())
    said = (
        f"What the criteria said of each head of the unpruned model, on "
        f"{words.plural(len(data), 'sentence')} of {data.name}. A white cross marks a head that "
        "the scheme removed."
    )
    if ablated:
        said += " Ablation is exact: each head removed alone."
    return Section(
        "scores",
        "What was known of the heads",
        said,
        [maps, _criteria(found, shown), _heads(every, frame)],
    )


def _map(found: Findings, column: Column, frame: pd.DataFrame) -> Picture:
    whole = found.classifier.full_mask()
    gone = found.mask.taken
    hover = column.hover(whole).astype(object)
    for head in gone:
        hover[head.layer, head.head] += "<br>removed by the scheme"
    wanted = [name for name in frame if name in ("head", "layer", "kept") or _of(name, column.name)]
    return Picture(
        column.title,
        column.reading,
        head_map(
            column.values,
            whole,
            title=column.title,
            hover=hover,
            change=column.change,
            rise_is_bad=column.rise_is_bad,
            gone=gone,
        ),
        Data(column.name, frame[wanted]),
        f"Head map of {column.title}, {whole.layers} layers by {whole.heads} heads",
    )


def _of(name: str, column: str) -> bool:
    return name == column or name.startswith(f"{column} rank")


def _criteria(found: Findings, shown: Mapping[str, Column]) -> Table:
    """The criteria side by side: what they say, and how the scheme stands to them."""
    kept = found.mask.array > 0
    effect = shown.get("ablation-loss")
    rows, records = [], []
    for name, column in shown.items():
        medians = [_middle(column.values[where]) for where in (kept, ~kept)]
        agreement = np.nan if effect is None or column is effect else column.agreement(effect)
        records.append(
            {
                "criterion": column.title,
                "higher_means": column.higher_means,
                "median_kept": medians[0],
                "median_removed": medians[1],
                "agreement_with_ablation": agreement,
            }
        )
        rows.append(
            [
                cells.name(column.title),
                cells.text(CRITERIA[name].summary if name in CRITERIA else column.aid),
                cells.text(f"high = {column.higher_means}", wrap=False),
                *(cells.text(words.number(value), wrap=False) for value in medians),
                *([] if effect is None else [cells.text(words.signed(agreement, 2), wrap=False)]),
                cells.text(CRITERIA[name].source if name in CRITERIA else "Michel et al. 2019"),
            ]
        )
    agreeing = [] if effect is None else ["Agrees with ablation"]
    return Table(
        "Criteria",
        "Medians over the heads that the scheme kept and over those that it removed."
        + (" Agreement is Spearman's rank correlation with the loss change." * bool(agreeing)),
        ["", "What it says", "Direction", "Kept", "Removed", *agreeing, "Source"],
        rows,
        Data("criteria", pd.DataFrame(records)),
    )


def _middle(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _heads(every: Mapping[str, Column], frame: pd.DataFrame) -> Table:
    kept = frame.set_index("head")["kept"]
    return Table(
        "Every head",
        "Value and rank by each criterion, with the rank's 95% interval where it is known; by "
        "importance, first to go on top.",
        ["Head", "", *(column.title for column in every.values())],
        [
            [
                cells.name(str(head)),
                cells.text("kept" if kept[str(head)] else "removed", wrap=False),
                *(
                    cells.text(column.value(head), column.rank(head), wrap=False)
                    for column in every.values()
                ),
            ]
            for head in every["importance"].first_to_go
        ],
        Data("heads", frame),
        folded=True,
    )


# --- curves ---------------------------------------------------------------------------------------


def _curves(found: Findings) -> Section:
    scheme, total = found.scheme, found.mask.layers * found.mask.heads
    chance = band(found.random, _BAND) if found.random else None
    accuracies = {
        number: Accuracy(one.accuracy, *one.accuracy_interval)
        for number, one in found.evaluations.items()
    }
    names = [OWN, REFERENCE]
    figure = accuracy_curves(
        curve_points(found.curves),
        chance,
        timeline_points(scheme, accuracies),
        names=names,
        all_heads=total,
        sentences=len(found.evaluation),
    )
    keys: list[tuple[str, str | Mapping[str, str], str]] = [
        (
            f"{one.method} {one.recovery or 'none'}",
            line_style(names.index(one.method), one.recovery),
            _whose(one),
        )
        for one in found.curves
    ]
    if chance is not None:
        drawn = words.plural(len(found.random), "random order")
        keys.append(("chance median", style.MUTED, f"{drawn}: median, band 5 to 95%"))
    if found.evaluations:
        keys.append(("steps", style.SELECTED, "steps of the scheme"))
    whole = pd.concat([one.frame() for one in (*found.curves, *found.random)], ignore_index=True)
    whole = whole.assign(calibration=found.calibration.name, evaluation=found.evaluation.name)
    return Section(
        "curves",
        "Accuracy as heads leave",
        f"Measured on {words.plural(len(found.evaluation), 'sentence')} of "
        f"{found.evaluation.name}; orders and recoveries are learnt from {found.calibration.name}. "
        "Further right, fewer heads are left; a line above the band beats chance.",
        [
            Picture(
                "Accuracy against heads kept",
                "Dotted: heads removed and nothing else; a full or dashed line: recovered after "
                "each removal. Diamonds are the steps of the scheme as they were taken.",
                figure,
                Data("curves", whole),
                f"Accuracy against heads kept: {words.plural(len(found.curves), 'order')}, "
                f"{words.plural(len(found.random), 'random order')}",
                keys,
            ),
            *([_at_this_size(found)] if found.mask.taken else []),
        ],
    )


def _whose(curve: Curve) -> str:
    """A curve in words."""
    own = curve.method == OWN
    order = "this scheme's order" if own else f"by {method_title(curve.method).lower()}"
    return order if curve.recovery is None else f"{order}, then {recovery_title(curve.recovery)}"


def _at_this_size(found: Findings) -> Table:
    """Every order with as many heads removed as the scheme removes."""
    count = len(found.mask.taken)
    at = {_whose(one): one.accuracy[one.removed.index(count)] for one in found.curves}
    rows = [
        [cells.name(name), cells.text(f"{words.percent(accuracy)}%", wrap=False), "<td></td>"]
        for name, accuracy in at.items()
    ]
    records = [{"order": name, "accuracy": accuracy} for name, accuracy in at.items()]
    if found.random:
        drawn = np.array([one.accuracy[one.removed.index(count)] for one in found.random])
        low, median, high = np.quantile(drawn, [0.05, 0.5, 0.95])
        own = at[_whose(found.curves[0])]
        rows.append(
            [
                cells.name("Random orders"),
                cells.text(f"{words.percent(median)}%", words.interval(low, high), wrap=False),
                cells.text(
                    f"{int((drawn >= own).sum())} of {len(drawn)} do as well as this scheme's "
                    "order without recovery"
                ),
            ]
        )
        records += [
            {"order": f"random, seed {one.seed}", "accuracy": accuracy}
            for one, accuracy in zip(found.random, drawn, strict=True)
        ]
    return Table(
        f"With {words.plural(count, 'head')} removed",
        "What each order keeps at the size of this scheme; for random orders the median and 5 to "
        "95%.",
        ["", "Accuracy", ""],
        rows,
        Data("orders-at-this-size", pd.DataFrame(records)),
    )


# --- what changed ---------------------------------------------------------------------------------


def _changes(found: Findings) -> Section:
    whole = sentence_table(found.evaluation, found.before, found.after, found.lengths)
    changed = whole[whole["outcome"] != "same"]
    blocks: list[Table | Picture | tuple[Table | Picture, ...]] = [_flipped(found, changed)]
    ways = groupings(found.evaluation, found.after.label_names, found.lengths)
    blocks.insert(0, tuple(_slices(found, name) for name in ("tag", "class") if name in ways))
    test = mcnemar(found.before, found.after)
    said = (
        f"{words.plural(len(changed), 'sentence')} of {found.after.n:,} are answered differently "
        f"from the unpruned model: {test.lost} lost, {test.gained} gained "
        f"({words.p_value(test.p)}, McNemar)."
    )
    return Section("changes", "What the model answers differently", said, blocks)


def _slices(found: Findings, name: str) -> Picture:
    ways = groupings(found.evaluation, found.after.label_names, found.lengths)
    table = slice_table(ways[name], found.before, found.after)
    shown = table
    if len(table) > MOST_SLICES:
        shown = table.sort_values(["accuracy change", "n"], ascending=[True, False])
        shown = shown.head(MOST_SLICES)
    pruned = found.before is not found.after
    reading = (
        "Change of accuracy in points with its 95% interval, worst hit on top; grey: how many "
        "sentences. Red lost, blue gained."
        if pruned
        else "Accuracy with its 95% interval, worst on top; grey: how many sentences."
    )
    if len(shown) < len(table):
        reading += f" The {len(shown)} worst of {len(table)}."
    title = f"By {ways[name].title.lower()}"
    return Picture(
        title,
        reading,
        slice_changes(shown) if pruned else slice_levels(shown),
        Data(f"slices-by-{name}", table),
        f"{title}: {words.plural(len(shown), 'slice')}",
    )


def _flipped(found: Findings, changed: pd.DataFrame) -> Table:
    shown = changed.index[:MOST_SENTENCES]
    tagged = found.evaluation.tags is not None
    said = "Lost: right before and wrong now. The number is the probability of the answer."
    if len(shown) < len(changed):
        said += f" The first {len(shown)}; the file has all {len(changed):,}."
    if changed.empty:
        said = "No answer changed."
    return Table(
        "Answers that changed",
        said,
        ["", "Sentence", "Label", "Before", "Now", *(["Tag"] * tagged)],
        [_flipped_row(found, changed, int(place)) for place in shown],
        Data("changed-sentences", changed.rename_axis("place").reset_index()),
    )


def _flipped_row(found: Findings, changed: pd.DataFrame, place: int) -> list[str]:
    data, names = found.evaluation, found.after.label_names
    said = data.texts[place] + (f" | {data.pairs[place]}" if data.pairs else "")
    truth = int(found.after.labels[place])
    row = [
        cells.name(str(changed.loc[place, "outcome"])),
        cells.text(said),
        cells.label(truth, names[truth]),
    ]
    for one in (found.before, found.after):
        answer = int(one.predictions[place])
        row.append(cells.label(answer, names[answer], f"{one.probabilities[place, answer]:.2f}"))
    return row + ([cells.text(data.tags[place])] if data.tags is not None else [])
