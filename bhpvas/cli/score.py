"""`bhpvas score`: criteria of every head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import kept_results, load, mask_without
from bhpvas.cli.options import CacheOptions, DataOptions, PassOptions, RemoveOptions, option
from bhpvas.cli.output import Bar, answer, grid, model_record, numbers, removed_heads
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    import numpy as np

    from bhpvas.criteria import Scores
    from bhpvas.model.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions, RemoveOptions, CacheOptions, DataOptions):
    split = "calibration"

    criteria: str = option(
        "comma-separated criteria, or 'all' (default: importance,stability,similarity)",
        "NAMES",
        default="importance,stability,similarity",
    )


def run(options: Options) -> None:
    """Score every head by one or more criteria."""
    from bhpvas.criteria import score
    from bhpvas.criteria.base import MOST_KEPT
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.model.result_key import result_key

    results, names = kept_results(options.cache), _criteria(options.criteria)
    classifier, dataset = load(options)
    mask = mask_without(classifier, options.remove)

    def make() -> Scores:
        with Bar("scoring") as progress:
            return score(classifier, dataset, names, mask=mask, progress=progress)

    key = result_key("scores", classifier, dataset, mask, names=tuple(names), keep=MOST_KEPT)
    scores = results.recall(key, make)
    lines = ["\n\n".join(tables(scores, names)), ""]
    read = data_record(classifier, dataset)
    answer(options.json, document(classifier, scores, names), lines, read=read)


def _criteria(names: str) -> list[str]:
    """The criteria asked for; refuses a name that is none."""
    from bhpvas.criteria import CRITERIA

    if names == "all":
        return list(CRITERIA)
    found = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in found if name not in CRITERIA]
    if unknown or not found:
        raise BhpvasError(
            f"{(unknown or [names])[0]!r} is no criterion; choose from {', '.join(CRITERIA)}."
        )
    return found


def document(classifier: Classifier, scores: Scores, names: list[str]) -> dict[str, Any]:
    from bhpvas.criteria import CRITERIA

    found: dict[str, Any] = {
        "layers": classifier.geometry.layers,
        "heads": classifier.geometry.heads,
        "sentences": scores.sentences,
        "data": scores.dataset,
        "model": model_record(classifier),
        "removed_heads": removed_heads(scores.mask),
        "criteria": {
            name: {
                "values": numbers(scores.values[name]),
                "higher_means": CRITERIA[name].higher_means,
                "undefined": _names(_undefined(scores, name)),
            }
            for name in names
        },
        "dead_heads": _names(scores.dead),
    }
    matrices = scores.similarity_matrix
    if matrices:
        # The first criterion asked for that compares heads; `similarity` by default.
        first = next(name for name in names if name in matrices)
        found["similarity_matrix"] = numbers(matrices[first])
    if scores.similarity_unit is not None:
        found["similarity_unit"] = scores.similarity_unit
    return found


def tables(scores: Scores, names: list[str]) -> list[str]:
    from bhpvas.criteria import CRITERIA

    shown = []
    for name in names:
        one, undefined = CRITERIA[name], _undefined(scores, name)
        said = (
            f"{one.title} (higher = {one.higher_means}), "
            f"{scores.sentences} sentences of {scores.dataset}\n"
            f"{grid(scores.values[name], undefined=undefined)}"
        )
        if undefined.any():
            said += f"\nundef: undefined of a head {one.undefined}"
        shown.append(said)
    if dead := _names(scores.dead):
        shown.append(f"These heads put out nothing and are first to go: {', '.join(dead)}")
    return shown


def _undefined(scores: Scores, name: str) -> np.ndarray:
    """Which kept heads have no value by a criterion: bool ``[L, H]``."""
    values = scores.values[name]
    undefined: np.ndarray = scores.mask.kept & (values != values)  # NaN
    return undefined


def _names(heads: np.ndarray) -> list[str]:
    return [f"L{layer}H{head}" for layer, head in zip(*heads.nonzero(), strict=True)]
