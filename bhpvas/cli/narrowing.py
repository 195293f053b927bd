"""Narrowing: the schemes that `bhpvas propose` writes for a target or a family of them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhpvas import text
from bhpvas.cli.inputs import kept_results, load_calibration, mask_without
from bhpvas.cli.options import CacheOptions, CalibrationOptions, option
from bhpvas.cli.output import Bar, answer, check_out, model_record, removed_heads, write_scheme
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    from bhpvas.model.classifier import Classifier
    from bhpvas.search.base import Constraints
    from bhpvas.search.budget import Target
    from bhpvas.search.target import Narrowed, Unit


@dataclass(frozen=True, kw_only=True)
class TargetOptions(CalibrationOptions, CacheOptions):
    """What may go, for a number of heads and for a target alike, and how much for a target."""

    protect: str = option(
        "heads that must stay, such as L0H3,L5H11 or L0-11H3", "HEADS", default=""
    )
    min_per_layer: int = option("heads that every layer keeps", "N", default=0)
    out: str = option(
        "scheme file to write; refitted weights are written beside it, or into a .zip",
        "FILE",
        required=True,
    )
    target: str | None = option(
        "remove heads and feed-forward neurons until this share stays, such as flops=0.33, "
        "parameters=0.5 or latency=0.4, or this time, such as latency=12ms, and write the weights "
        "that the method refits, too",
        "WHAT=SHARE",
    )
    engine: str | None = option(
        "what a latency is of: torch (default), onnx or onnx-int8, on this machine", "NAME"
    )
    batch: int | None = option("sentences at once that a latency is of (default: 8)", "N")
    length: int | None = option("tokens of each that a latency is of (default: 32)", "N")
    family: str | None = option(
        "one search for several targets: how many times fewer FLOPs, such as 1.5,2,3,4; --out is "
        "then a folder, with a scheme for each",
        "LIST",
    )
    units: str | None = option(
        "what may go for a target: heads, neurons, sublayers (whole attention and feed-forward "
        "parts), or several of them (default: heads,neurons)",
        "LIST",
    )
    multiple_of: int | None = option(
        "numbers of neurons that layers keep for a target are multiples of N", "N"
    )


def run(options: TargetOptions, method: str | None, constraints: Constraints) -> None:
    """Remove heads and neurons down to each target, and write a scheme for it, weights included."""
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.search import DEFAULT_METHOD
    from bhpvas.search.registry import to_target_named
    from bhpvas.search.target import narrow_to

    method = to_target_named(method or DEFAULT_METHOD).name
    targets, units = targets_of(options), _units(options.units)
    with _outs(options, targets) as outs:
        for out in outs:
            check_out("The scheme", out)
        classifier, dataset = load_calibration(options)
        mask_without(classifier, options.protect)  # so that a head that does not exist is named
        with Bar(f"searching to {', '.join(map(str, targets))} by {method}") as progress:
            found = narrow_to(
                classifier,
                dataset,
                targets,
                method,
                units=units,
                multiple_of=options.multiple_of,
                constraints=constraints,
                seed=options.seed,
                results=kept_results(options.cache),
                progress=progress,
            )
        documents, said = [], list[str]()
        for one, out in zip(found, outs, strict=True):
            start = Scheme.of(classifier, name=Path(out).stem)
            written = write_scheme(start, Path(), one.on(start), one.weights, out)
            documents.append(document(classifier, one, out, written))
            said += lines(classifier, one, out)
    common = {"seed": options.seed, "model": model_record(classifier)}
    answer(
        options.json,
        common | ({"family": documents} if options.family else documents[0]),
        said,
        read=data_record(classifier, dataset),
    )


def targets_of(options: TargetOptions) -> list[Target]:
    """The targets that are asked for, one or a family."""
    from bhpvas.model.runtimes import Timing, engine_named
    from bhpvas.search.budget import Target

    given = {name: getattr(options, name) for name in ("engine", "batch", "length")}
    given = {name: value for name, value in given.items() if value is not None}
    if "engine" in given:
        engine_named(given["engine"])
    if options.target is not None:
        target = Target.parse(options.target, Timing(**given))
        if given and target.timing is None:
            raise BhpvasError(
                f"--{next(iter(given))} goes with a latency, such as --target latency=0.5: leave "
                "one of the two out."
            )
        return [target]
    assert options.family is not None
    if given:
        raise BhpvasError(
            f"--{next(iter(given))} goes with --target latency=0.5, and a --family is one of "
            "FLOPs: leave it out."
        )
    try:
        reductions = [float(one) for one in options.family.split(",")]
    except ValueError:
        reductions = [0.0]
    names = {f"{one:g}" for one in reductions}
    if not all(1 <= one < math.inf for one in reductions) or len(names) < len(reductions):
        raise BhpvasError(
            f"--family {options.family} is no list of reductions: give how many times fewer FLOPs "
            "each scheme is to need, such as 1.5,2,3,4."
        )
    return [Target("flops", 1 / one) for one in reductions]


def _units(named: str | None) -> tuple[Unit, ...]:
    from bhpvas.search.target import UNITS, unit_named

    if named is None:
        return UNITS
    found: list[Unit] = [unit_named(one.strip()) for one in named.split(",")]
    return tuple(dict.fromkeys(found))


@contextmanager
def _outs(options: TargetOptions, targets: list[Target]) -> Iterator[list[str]]:
    """The file of each scheme: in a folder that is made for a family, and goes if nothing comes."""
    if options.family is None:
        yield [options.out]
        return
    folder = Path(options.out)
    made = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise BhpvasError(
            f"The folder {folder} for the family cannot be made ({error.strerror}): name one in a "
            "folder that exists and that you may write to."
        ) from None
    try:
        yield [str(folder / f"{1 / (one.share or 1):g}.json") for one in targets]
    except BaseException:
        if made:
            with suppress(OSError):  # schemes that are written already stay
                folder.rmdir()
        raise


def document(
    classifier: Classifier, found: Narrowed, out: str, written: Path | None
) -> dict[str, Any]:
    from bhpvas.model.cost import neurons_kept

    expected = {} if found.expected is None else {"expected": found.expected}
    return (
        found.record()
        | expected
        | {
            "method": found.method,
            "heads_kept": list(found.mask.kept_per_layer),
            "neurons_kept": neurons_kept(classifier.geometry, found.mask),
            "removed_heads": removed_heads(found.mask),
            "scheme": out,
            "weights": None if written is None else str(written),
        }
    )


def lines(classifier: Classifier, found: Narrowed, out: str) -> list[str]:
    geometry, neurons = classifier.geometry, len(found.mask.neurons or ())
    measure = {"flops": "FLOPs", "parameters": "parameters", "latency": "time, by the table,"}[
        found.target.measure
    ]
    how = "As masked" if found.recovered is None else "Refitted"
    learnt = " that it learnt from" if found.learnt_from else ", from which nothing was learnt"
    timed = [] if found.milliseconds is None else [found.milliseconds.line()]
    said = [
        *found.reasons,
        *timed,
        f"{len(found.mask.masked)} of {geometry.layers * geometry.heads} heads and {neurons:,} of "
        f"{geometry.layers * geometry.intermediate_size:,} neurons removed by {found.method}: "
        f"{100 * found.cost:.1f}% of the {measure} stay. {how}, the answers move by "
        f"{text.nats(found.divergence)} nats (KL) on the {found.sentences} sentences of "
        f"{found.calibration}{learnt}; written to {out}",
    ]
    if found.mask.changes and found.recovered is None:
        again = ["bhpvas", "recover", "--scheme", out, "--out", "recovered.json"]
        said.append(
            f"Nothing is refitted by this method: {shlex.join(again)}, with the same model and "
            "sentences, does so."
        )
    return said
