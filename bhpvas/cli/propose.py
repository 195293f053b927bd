"""`bhpvas propose`: a scheme of heads to remove."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import load_calibration, mask_without
from bhpvas.cli.options import CalibrationOptions, option
from bhpvas.cli.output import Bar, answer, check_out, model_record, removed_heads
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    from bhpvas.model.classifier import Classifier
    from bhpvas.search import Proposal


@dataclass(frozen=True, kw_only=True)
class Options(CalibrationOptions):
    method: str | None = option(
        # Named here, since the registry would import torch.
        "random, importance, fisher, combined, iterative, redundancy, mask-search, "
        "reconstruction, shares (default), greedy, layers, or any criterion",
        "NAME",
    )
    heads: int = option("how many heads to remove", "K", required=True)
    max_drop: float | None = option(
        "remove fewer, as many as keep the accuracy on the calibration sentences within X "
        "(0.01 = one point)",
        "X",
    )
    protect: str = option("heads that must stay, such as L0H3,L5H11", "HEADS", default="")
    min_per_layer: int = option("heads that every layer keeps", "N", default=0)
    out: str = option("scheme file to write", "FILE", required=True)


def run(options: Options) -> None:
    """Choose heads to remove, with a reason for each, and write a scheme."""
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.heads import parse_heads
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.search import DEFAULT_METHOD, Constraints, method_named, propose

    method = method_named(options.method or DEFAULT_METHOD).name
    if options.max_drop is not None and not 0 <= options.max_drop <= 1:
        raise BhpvasError(
            f"--max-drop {options.max_drop:g} is no share of 1: write 0.01 for one point."
        )
    if options.min_per_layer < 0:
        raise BhpvasError(
            f"--min-per-layer {options.min_per_layer} is no number of heads: give 0 or more."
        )
    check_out("The scheme", options.out)
    classifier, dataset = load_calibration(options)
    mask_without(classifier, options.protect)  # so that a head that does not exist is named
    constraints = Constraints(frozenset(parse_heads(options.protect)), options.min_per_layer)
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
    scheme = Scheme.of(classifier, name=Path(options.out).stem)
    if found.heads:
        scheme = scheme.removing(found.heads, method, found.record(), seed=options.seed)
    scheme.save(options.out)
    read = data_record(classifier, dataset)
    answer(options.json, document(options, classifier, found), lines(options, found), read=read)


def document(options: Options, classifier: Classifier, found: Proposal) -> dict[str, Any]:
    return found.record() | {
        "method": found.method,
        "seed": options.seed,
        "removed_heads": removed_heads(found.mask),
        "scheme": str(options.out),
        "model": model_record(classifier),
    }


def lines(options: Options, found: Proposal) -> list[str]:
    return [
        *(f"{removal.head!s:8} {removal.reason}" for removal in found.removals),
        f"{len(found.heads)} of {found.mask.layers * found.mask.heads} heads removed by "
        f"{found.method}, learnt from {found.sentences} sentences of {found.calibration}; written "
        f"to {options.out}",
    ]
