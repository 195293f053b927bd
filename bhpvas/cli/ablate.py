"""`bhpvas ablate`: the cost of each head alone, and of each layer at fewer neurons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import kept_results, load, mask_without
from bhpvas.cli.options import (
    CacheOptions,
    DataOptions,
    PassOptions,
    RemoveOptions,
    UnitOptions,
    option,
)
from bhpvas.cli.output import Bar, answer, grid, model_record, numbers, removed_heads
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    from bhpvas.evaluation.ablation import Ablation
    from bhpvas.evaluation.widths import WidthCurves


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions, RemoveOptions, UnitOptions, CacheOptions, DataOptions):
    split = "calibration"

    by: str | None = option(
        "criterion by whose order neurons leave a layer, the lowest first (default: fisher)",
        "NAME",
    )


def run(options: Options) -> None:
    """Remove each head alone, or narrow each layer alone, and measure what it costs, exactly."""
    from bhpvas.criteria.registry import NEURON_CRITERIA
    from bhpvas.criteria.scoring import check_names
    from bhpvas.evaluation.ablation import ablate
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.evaluation.widths import ORDER, ablate_widths
    from bhpvas.model.result_key import result_key

    units = options.check_units()
    if options.by is not None and "neurons" not in units:
        raise BhpvasError("--by says in which order neurons leave: add --units neurons.")
    by = options.by or ORDER
    check_names([by], NEURON_CRITERIA, "criterion of neurons")
    results = kept_results(options.cache)
    classifier, dataset = load(options)
    mask = mask_without(classifier, options.remove)
    document: dict[str, Any] = {
        "removed_heads": removed_heads(mask),
        "model": model_record(classifier),
    }
    said = list[str]()
    if "neurons" in units:
        with Bar("ablating neurons") as progress:
            widths = results.recall(
                result_key("widths", classifier, dataset, mask, by=by),
                lambda: ablate_widths(classifier, dataset, mask, by=by, progress=progress),
            )
        baseline = widths.baseline
        document |= of_widths(widths, by)
        said += width_lines(widths, by)
    if "heads" in units:
        with Bar("ablating heads") as progress:
            heads = results.recall(
                result_key("ablation", classifier, dataset, mask),
                lambda: ablate(classifier, dataset, mask, progress=progress),
            )
        baseline = heads.baseline
        groups = classifier.geometry.groups
        document |= of_heads(heads, groups)
        said = head_lines(heads, groups) + said
    document["baseline"] = baseline.metrics()
    answer(options.json, document, said, read=data_record(classifier, dataset, unpruned=baseline))


def of_heads(found: Ablation, groups: Sequence[Sequence[int]]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "loss_change": numbers(found.loss_change),
        "accuracy_change": numbers(found.accuracy_change),
    }
    if groups:
        document["groups"] = [
            {"layers": [*layers], "loss_change": loss_change, "accuracy_change": accuracy_change}
            for layers, loss_change, accuracy_change in zip(
                groups,
                numbers(found.group_loss_change),
                numbers(found.group_accuracy_change),
                strict=True,
            )
        ]
    return document


def of_widths(found: WidthCurves, by: str) -> dict[str, Any]:
    both = zip(found.kept, found.loss_change, found.accuracy_change, strict=True)
    return {
        "widths": [
            {
                "kept": kept.tolist(),
                "loss_change": numbers(loss_change),
                "accuracy_change": numbers(accuracy_change),
            }
            for kept, loss_change, accuracy_change in both
        ],
        "widths_by": by,
    }


def head_lines(found: Ablation, groups: Sequence[Sequence[int]]) -> list[str]:
    base = found.baseline
    said = [
        f"Change of the loss when one more head goes (base {base.loss:.4f}, {base.n} sentences of "
        f"{base.dataset})",
        grid(found.loss_change),
        "",
        f"Change of accuracy in points (base {100 * base.accuracy:.1f})",
        grid(100 * found.accuracy_change, "+.1f"),
        "",
    ]
    both = zip(groups, found.group_loss_change, found.group_accuracy_change, strict=True)
    for layers, loss_change, accuracy_change in both:
        said.append(f"The same, of a head in all of layers {layers[0]} to {layers[-1]} at once")
        said += [
            f"  L{layers[0]}-{layers[-1]}H{head:<3}"
            + (
                "  removed"
                if math.isnan(loss)
                else f"  {loss:+.4f}  {100 * accuracy_change[head]:+.1f}"
            )
            for head, loss in enumerate(loss_change)
        ]
        said.append("")
    return said


def width_lines(found: WidthCurves, by: str) -> list[str]:
    """A line for each layer: neurons kept, and the change of the loss and of accuracy there."""
    from bhpvas.criteria import NEURON_CRITERIA

    base, title = found.baseline, NEURON_CRITERIA[by].title
    said = [
        f"Change of the loss (and of accuracy in points) when a layer alone keeps so many neurons, "
        f"those lowest by {title} gone (base {base.loss:.4f}, {100 * base.accuracy:.1f}, "
        f"{base.n} sentences of {base.dataset})"
    ]
    for layer in reversed(range(len(found.kept))):
        points = zip(
            found.kept[layer], found.loss_change[layer], found.accuracy_change[layer], strict=True
        )
        said.append(
            f"L{layer:<3}"
            + "  ".join(
                f"{kept:,}: {loss:+.4f} ({100 * right:+.1f})" for kept, loss, right in points
            )
        )
    return [*said, ""]
