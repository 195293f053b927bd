"""`bhpvas score`: criteria of every head, and of every feed-forward neuron."""

from __future__ import annotations

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

    from bhpvas.criteria import Scores
    from bhpvas.model.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions, RemoveOptions, UnitOptions, CacheOptions, DataOptions):
    split = "calibration"

    criteria: str | None = option(
        "comma-separated criteria, or 'all' (default: importance,stability,similarity of heads, "
        "importance,fisher,activation of neurons)",
        "NAMES",
    )


def run(options: Options) -> None:
    """Score every head, or every feed-forward neuron, by one or more criteria."""
    from bhpvas.criteria import score
    from bhpvas.criteria.base import MOST_KEPT
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.model.result_key import result_key

    results = kept_results(options.cache)
    names, neurons = _criteria(options.criteria, options.check_units())
    classifier, dataset = load(options)
    mask = mask_without(classifier, options.remove)

    def make() -> Scores:
        with Bar("scoring") as progress:
            return score(classifier, dataset, names, neurons=neurons, mask=mask, progress=progress)

    settings: dict[str, Any] = {"names": tuple(names), "keep": MOST_KEPT}
    if neurons:  # the app keeps scores of heads under the same key
        settings["neurons"] = tuple(neurons)
    key = result_key("scores", classifier, dataset, mask, **settings)
    scores = results.recall(key, make)
    said = [*tables(scores, names), *neuron_tables(scores)] + [_of_dead_heads(scores)] * bool(names)
    lines = ["\n\n".join(filter(None, said)), ""]
    read = data_record(classifier, dataset)
    answer(options.json, document(classifier, scores, names), lines, read=read)


def _criteria(names: str | None, units: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The criteria of heads and of neurons asked for; refuses a name that is none of the units'.

    A name that both have is of both. Refused is also a list that names none of one of the units.
    """
    from bhpvas.criteria import (
        CRITERIA,
        DEFAULT_CRITERIA,
        DEFAULT_NEURON_CRITERIA,
        NEURON_CRITERIA,
    )

    known = {"heads": list(CRITERIA), "neurons": list(NEURON_CRITERIA)}
    usual = {"heads": list(DEFAULT_CRITERIA), "neurons": list(DEFAULT_NEURON_CRITERIA)}
    chosen: dict[str, list[str]] = {"heads": [], "neurons": []}
    if names is None or names == "all":
        every = usual if names is None else known
        chosen |= {unit: every[unit] for unit in units}
        return chosen["heads"], chosen["neurons"]
    found = [name.strip() for name in names.split(",") if name.strip()]
    every_name = list(dict.fromkeys(name for unit in units for name in known[unit]))
    unknown = [name for name in found if name not in every_name]
    if unknown or not found:
        raise BhpvasError(
            f"{(unknown or [names])[0]!r} is no criterion of {' or '.join(units)}; choose from "
            f"{', '.join(every_name)}."
        )
    for unit in units:
        chosen[unit] = [name for name in found if name in known[unit]]
        if not chosen[unit]:
            raise BhpvasError(
                f"--criteria {names} has none of {unit}: name one of {', '.join(known[unit])}, or "
                f"leave {unit} out of --units."
            )
    return chosen["heads"], chosen["neurons"]


def document(classifier: Classifier, scores: Scores, names: list[str]) -> dict[str, Any]:
    from bhpvas.criteria import CRITERIA, NEURON_CRITERIA
    from bhpvas.model.cost import neurons_kept

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
    if scores.neurons:
        found["neurons"] = {name: numbers(values) for name, values in scores.neurons.items()}
        found["neuron_criteria"] = {
            name: {"higher_means": NEURON_CRITERIA[name].higher_means} for name in scores.neurons
        }
        found["neurons_kept"] = neurons_kept(classifier.geometry, scores.mask)
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
    return shown


def _of_dead_heads(scores: Scores) -> str:
    dead = ", ".join(_names(scores.dead))
    return f"These heads put out nothing and are first to go: {dead}" if dead else ""


def neuron_tables(scores: Scores) -> list[str]:
    """Of each criterion of neurons, a line for each layer: there are too many to show each."""
    from bhpvas.criteria import NEURON_CRITERIA

    return [
        f"{NEURON_CRITERIA[name].title} of neurons (higher = "
        f"{NEURON_CRITERIA[name].higher_means}), {scores.sentences} sentences of {scores.dataset}\n"
        + "\n".join(_layer_lines(values))
        for name, values in scores.neurons.items()
    ]


def _layer_lines(values: np.ndarray) -> list[str]:
    """How the values ``[L, F]`` of each layer's kept neurons are spread, layers upward from 0."""
    import numpy as np

    heads = ("kept", "least", "(neuron)", "quarter", "median", "three q.", "most", "(neuron)")
    lines = ["    " + " ".join(f"{head:>9}" for head in heads) + "  below 10% of the mean"]
    for layer, row in reversed(list(enumerate(values))):
        kept = row[~np.isnan(row)]
        if not len(kept):
            lines.append(f"L{layer:<3}{0:>9}")
            continue
        low, quarter, median, three, high = np.quantile(kept, (0, 0.25, 0.5, 0.75, 1))
        shown = (
            f"{len(kept):,}", f"{low:.3g}", np.nanargmin(row), f"{quarter:.3g}", f"{median:.3g}",
            f"{three:.3g}", f"{high:.3g}", np.nanargmax(row),
        )  # fmt: skip
        small = int((kept < 0.1 * kept.mean()).sum())
        lines.append(f"L{layer:<3}" + " ".join(f"{one:>9}" for one in shown) + f"  {small:>21,}")
    return lines


def _undefined(scores: Scores, name: str) -> np.ndarray:
    """Which kept heads have no value by a criterion: bool ``[L, H]``."""
    values = scores.values[name]
    undefined: np.ndarray = scores.mask.kept & (values != values)  # NaN
    return undefined


def _names(heads: np.ndarray) -> list[str]:
    return [f"L{layer}H{head}" for layer, head in zip(*heads.nonzero(), strict=True)]
