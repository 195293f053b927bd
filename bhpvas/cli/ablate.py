"""`bhpvas ablate`: the cost of each head alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import kept_results, load, mask_without
from bhpvas.cli.options import CacheOptions, DataOptions, PassOptions, RemoveOptions
from bhpvas.cli.output import Bar, answer, grid, model_record, numbers, removed_heads

if TYPE_CHECKING:
    from bhpvas.evaluation.ablation import Ablation
    from bhpvas.model.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions, RemoveOptions, CacheOptions, DataOptions):
    split = "calibration"


def run(options: Options) -> None:
    """Remove each head alone and measure what it costs, exactly."""
    from bhpvas.evaluation.ablation import ablate
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.model.result_key import result_key

    results = kept_results(options.cache)
    classifier, dataset = load(options)
    mask = mask_without(classifier, options.remove)

    def make() -> Ablation:
        with Bar("ablating") as progress:
            return ablate(classifier, dataset, mask, progress=progress)

    found = results.recall(result_key("ablation", classifier, dataset, mask), make)
    read = data_record(classifier, dataset, unpruned=found.baseline)
    answer(options.json, document(classifier, found), [*lines(found), ""], read=read)


def document(classifier: Classifier, found: Ablation) -> dict[str, Any]:
    return {
        "loss_change": numbers(found.loss_change),
        "accuracy_change": numbers(found.accuracy_change),
        "baseline": found.baseline.metrics(),
        "removed_heads": removed_heads(found.baseline.mask),
        "model": model_record(classifier),
    }


def lines(found: Ablation) -> list[str]:
    base = found.baseline
    return [
        f"Change of the loss when one more head goes (base {base.loss:.4f}, {base.n} sentences of "
        f"{base.dataset})",
        grid(found.loss_change),
        "",
        f"Change of accuracy in points (base {100 * base.accuracy:.1f})",
        grid(100 * found.accuracy_change, "+.1f"),
    ]
