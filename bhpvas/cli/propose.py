"""`bhpvas propose`: a scheme of heads, or of heads and neurons, to remove."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhpvas.cli import narrowing
from bhpvas.cli.inputs import load_calibration, mask_without
from bhpvas.cli.options import option
from bhpvas.cli.output import Bar, answer, check_out, model_record, removed_heads, write_scheme
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    from bhpvas.model.classifier import Classifier
    from bhpvas.search import Proposal
    from bhpvas.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class Options(narrowing.TargetOptions):
    exclusive = ("heads", "target", "family")

    heads: int | None = option(
        "how many heads to remove; of layers that share their weights a head leaves all at once "
        "and counts in each, and as many go as fit into K",
        "K",
    )
    method: str | None = option(
        # Named here, since the registry would import torch.
        "random, importance, fisher, combined, iterative, redundancy, mask-search, "
        "reconstruction, shares (default; importance where layers share their weights), greedy, "
        "layers, or any criterion; to a target random, magnitude, mask-search or shares (default)",
        "NAME",
    )
    max_drop: float | None = option(
        # Methods made for compensation are named here for the same reason.
        "remove fewer, as many as keep the accuracy (of a score the Pearson correlation, of "
        "several labels micro F1) on the calibration sentences within X "
        "(0.01 = one point) as the file is written: by reconstruction and shares with compensated "
        "weights, which it then contains, by other methods as masked",
        "X",
    )


def run(options: Options) -> None:
    """Choose heads to remove, with a reason for each, and write a scheme."""
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.heads import parse_heads
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.search import Constraints, default_method, method_named, propose

    if options.min_per_layer < 0:
        raise BhpvasError(
            f"--min-per-layer {options.min_per_layer} is no number of heads: give 0 or more."
        )
    constraints = Constraints(frozenset(parse_heads(options.protect)), options.min_per_layer)
    _check(options)
    if options.heads is None:
        narrowing.run(options, options.method, constraints)
        return
    named = options.method and method_named(options.method).name
    if options.max_drop is not None and not 0 <= options.max_drop <= 1:
        raise BhpvasError(
            f"--max-drop {options.max_drop:g} is no share of 1: write 0.01 for one point."
        )
    check_out("The scheme", options.out)
    classifier, dataset = load_calibration(options)
    method = named or default_method(classifier.geometry)
    mask_without(classifier, options.protect)  # so that a head that does not exist is named
    with Bar(f"searching by {method}") as progress:
        found = propose(
            classifier,
            dataset,
            method,
            heads=options.heads,
            constraints=constraints,
            max_drop=options.max_drop,
            seed=options.seed,
            progress=progress,
        )
    start = Scheme.of(classifier, name=Path(options.out).stem)
    weights = None if found.recovered is None else found.recovered.weights
    written = write_scheme(start, Path(), found.on(start), weights, options.out)
    answer(
        options.json,
        document(options, classifier, found, written),
        lines(options, classifier.task, found, written),
        read=data_record(classifier, dataset),
    )


def _check(options: Options) -> None:
    """Refuse settings of another way to say how much goes."""
    to_target = options.target is not None or options.family is not None
    if options.heads is None and not to_target:
        raise BhpvasError(
            "How much is to go? Give a number of heads with --heads, or a share of the cost that "
            "stays with --target flops=0.5."
        )
    others: tuple[str, ...] = ("max_drop",)
    if not to_target:
        others = ("units", "multiple_of", "engine", "batch", "length")
    for name in others:
        if getattr(options, name) is not None:
            beside = "--heads" if to_target else "--target or --family"
            if name in ("engine", "batch", "length"):
                beside = "a latency, such as --target latency=0.5"
            raise BhpvasError(
                f"--{name.replace('_', '-')} goes with {beside}: leave one of the two out."
            )


def document(
    options: Options, classifier: Classifier, found: Proposal, written: Path | None
) -> dict[str, Any]:
    return found.record() | {
        "method": found.method,
        "seed": options.seed,
        "removed_heads": removed_heads(found.mask),
        "scheme": str(options.out),
        "weights": None if written is None else str(written),
        "model": model_record(classifier),
    }


def lines(options: Options, task: Task, found: Proposal, written: Path | None) -> list[str]:
    from bhpvas.search import method_named

    source = f"learnt from {found.sentences:,} sentences of {found.calibration}"
    said = [
        *(f"{removal.head!s:8} {removal.reason}" for removal in found.removals),
        f"{len(found.heads)} of {found.mask.layers * found.mask.heads} heads removed by "
        f"{found.method}, {source if found.learnt_from else 'learnt from no sentence'}; written to "
        f"{options.out}",
    ]
    compensated = method_named(found.method).for_compensation
    if options.max_drop is not None and options.heads:
        headline, drop = task.headline, f"{100 * options.max_drop:g}"
        points = f"{drop} {'point' if drop == '1' else 'points'}"
        if not headline.share:
            points = f"{options.max_drop:g} of the {headline.title_in_text}"
        on = f"on the {found.sentences:,} sentences"
        if found.heads:
            how = f"with compensation, weights {written}" if written else "as masked"
            said.append(f"A drop of at most {points} holds {on} as the scheme is written: {how}.")
        else:
            how = "compensated" if compensated else "as masked"
            said.append(
                f"No head goes: without the first one alone, {how}, the "
                f"{headline.title_in_text} {on} drops by "
                f"more than {points}."
            )
    elif found.heads and compensated:
        again = ["bhpvas", "recover", "--scheme", options.out, "--out", "recovered.json"]
        said.append(
            f"These heads are chosen to be compensated for, and the scheme is not yet: "
            f"{shlex.join(again)}, with the same model and sentences."
        )
    return said
