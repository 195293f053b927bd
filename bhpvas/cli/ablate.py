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
    import numpy as np

    from bhpvas.evaluation.ablation import Ablation
    from bhpvas.evaluation.evaluation import Evaluation
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
    document["baseline"] = baseline.record()
    answer(options.json, document, said, read=data_record(classifier, dataset, unpruned=baseline))


def of_heads(found: Ablation, groups: Sequence[Sequence[int]]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "loss_change": numbers(found.loss_change),
        **_headline(found, found.headline_change),
    }
    if groups:
        document["groups"] = [
            {
                "layers": [*layers],
                "loss_change": numbers(loss_change),
                **_headline(found, change),
            }
            for layers, loss_change, change in zip(
                groups, found.group_loss_change, found.group_headline_change, strict=True
            )
        ]
    return document


def _headline(found: Ablation | WidthCurves, change: np.ndarray) -> dict[str, Any]:
    """The change of the headline; of an accuracy also under the name that it has always had."""
    said = numbers(change)
    labels = found.baseline.is_single_label
    return {"accuracy_change": said if labels else None, "headline_change": said}


def of_widths(found: WidthCurves, by: str) -> dict[str, Any]:
    both = zip(found.kept, found.loss_change, found.headline_change, strict=True)
    return {
        "widths": [
            {
                "kept": kept.tolist(),
                "loss_change": numbers(loss_change),
                **_headline(found, change),
            }
            for kept, loss_change, change in both
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
        _headline_title(base),
        grid(100 * found.headline_change, "+.1f")
        if base.task.headline.share
        else grid(found.headline_change, "+.4f"),
        "",
    ]
    both = zip(groups, found.group_loss_change, found.group_headline_change, strict=True)
    share = base.task.headline.share
    for layers, loss_change, change in both:
        said.append(f"The same, of a head in all of layers {layers[0]} to {layers[-1]} at once")
        said += [
            f"  L{layers[0]}-{layers[-1]}H{head:<3}"
            + (
                "  removed"
                if math.isnan(loss)
                else f"  {loss:+.4f}  "
                + (f"{100 * change[head]:+.1f}" if share else f"{change[head]:+.4f}")
            )
            for head, loss in enumerate(loss_change)
        ]
        said.append("")
    return said


def _headline_title(base: Evaluation) -> str:
    headline = base.task.headline
    if headline.share:
        return (
            f"Change of {headline.title_in_text} in points (base {100 * base.headline_value:.1f})"
        )
    return f"Change of the {headline.title_in_text} (base {base.headline_value:.4f})"


def width_lines(found: WidthCurves, by: str) -> list[str]:
    """A line for each layer: neurons kept, and the change of the loss and of accuracy there."""
    from bhpvas.criteria import NEURON_CRITERIA

    base, title = found.baseline, NEURON_CRITERIA[by].title
    headline = base.task.headline
    of, start = f"the {headline.title_in_text}", f"{base.headline_value:.4f}"
    if headline.share:
        of, start = f"{headline.title_in_text} in points", f"{100 * base.headline_value:.1f}"
    said = [
        f"Change of the loss (and of {of}) when a layer alone keeps so many neurons, "
        f"those lowest by {title} gone (base {base.loss:.4f}, {start}, "
        f"{base.n} sentences of {base.dataset})"
    ]
    for layer in reversed(range(len(found.kept))):
        points = zip(
            found.kept[layer], found.loss_change[layer], found.headline_change[layer], strict=True
        )
        said.append(
            f"L{layer:<3}"
            + "  ".join(
                f"{kept:,}: {loss:+.4f} "
                f"({f'{100 * change:+.1f}' if headline.share else f'{change:+.4f}'})"
                for kept, loss, change in points
            )
        )
    return [*said, ""]
