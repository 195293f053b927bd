"""`bhpvas recover`: a scheme with recovered weights."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import load_calibration, opened_scheme
from bhpvas.cli.options import CalibrationOptions, option
from bhpvas.cli.output import Bar, answer, check_out, learnt_lines, removed_heads, write_scheme
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.model.classifier import Classifier
    from bhpvas.recovery import Recovered
    from bhpvas.recovery.finetuning import Course, FineTuned
    from bhpvas.scheme.scheme import Scheme

_tuned = partial(option, metavar="X", default=None, group="with --method finetune")


@dataclass(frozen=True, kw_only=True)
class Options(CalibrationOptions):
    """The settings of fine-tuning are None where they are left out."""

    scheme: str = option("scheme file to start from", "S", required=True)
    method: str = option(
        "compensate (default), thorough, rescale or finetune", "NAME", default="compensate"
    )
    epochs: float | None = _tuned("how often the sentences are gone through (default: 1)")
    learning_rate: float | None = _tuned("its highest value (default: 0.00005)")
    batch_size: int | None = _tuned("sentences in a step (default: 32)")
    distillation: float | None = _tuned(
        "weight of the unpruned model's answers in the loss; 0 = labels alone (default: 0.5)"
    )
    temperature: float | None = _tuned("by which those answers are softened (default: 2)")
    warmup: float | None = _tuned(
        "share of the steps in which the learning rate rises (default: 0.06)"
    )
    weight_decay: float | None = _tuned("of AdamW (default: 0.01)")
    embeddings: bool | None = _tuned("train the embeddings, too (default: they stay as they are)")
    evaluations: int | None = _tuned("how often the held-out sentences are measured (default: 20)")
    out: str = option(
        "scheme file to write; changed weights are written beside it, or into a .zip",
        "FILE",
        required=True,
    )

    @property
    def tuning(self) -> dict[str, Any]:
        """The settings of fine-tuning that were given."""
        found = {name: getattr(self, name) for name in tuning_names()}
        return {name: value for name, value in found.items() if value is not None}


def tuning_names() -> list[str]:
    """The options that are settings of fine-tuning, named as in TuningSettings."""
    return [one.name for one in fields(Options) if "group" in one.metadata]


def run(options: Options) -> None:
    """Win back accuracy: refit what the kept heads write, or train on."""
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.evaluation.learnt_from import learnt_before
    from bhpvas.recovery import RECOVERY_NAMES

    if options.method not in RECOVERY_NAMES:
        raise BhpvasError(
            f"{options.method!r} is no recovery; choose from {', '.join(RECOVERY_NAMES)}."
        )
    if options.tuning and options.method != "finetune":
        raise BhpvasError(
            f"--{next(iter(options.tuning)).replace('_', '-')} is a setting of fine-tuning: add "
            "--method finetune, or leave it out."
        )
    check_out("The scheme", options.out)
    with opened_scheme(options.scheme, options.model) as (scheme, folder):
        found: Recovered | FineTuned
        if options.method == "finetune":
            tuned, classifier, dataset = _finetune(options, scheme, folder)
            found, lines, stopped = tuned, tuning_lines(tuned), tuned.stopped_at is not None
        else:
            refitted, classifier, dataset = _refit(options, scheme)
            found, lines, stopped = refitted, refit_lines(refitted, classifier), False
        recovered = scheme.recovered(
            found.weights.fingerprint,
            options.method,
            found.record(),
            seed=options.seed,
            learnt_from=found.learnt_from,
        )
        written = write_scheme(scheme, folder, recovered, found.weights, options.out)
    encoded = classifier.encode(dataset)
    before = learnt_before(scheme, encoded.fingerprints)
    said = document(options, scheme, found, written) | {"learnt_from": before.count}
    lines += [
        *learnt_lines(before, "what is said of held-out ones"),
        f"Scheme {options.out}, weights {written}",
    ]
    answer(options.json, said, lines, read=data_record(classifier, dataset, encoded))
    if stopped:
        raise SystemExit(1)


def _refit(options: Options, scheme: Scheme) -> tuple[Recovered, Classifier, Dataset]:
    """A recovery in closed form, of what, and what it learnt from."""
    from bhpvas.recovery import recover

    classifier, dataset = load_calibration(options)
    scheme.matches(classifier)
    with Bar("recovering") as progress:
        found = recover(
            classifier, dataset, scheme.mask, options.method, seed=options.seed, progress=progress
        )
    return found, classifier, dataset


def _finetune(
    options: Options, scheme: Scheme, folder: Path
) -> tuple[FineTuned, Classifier, Dataset]:
    """A training, of what, and what it learnt from; the first Ctrl-C ends it with the best so far,
    a second one with nothing.
    """
    from bhpvas.progress import Cancelled
    from bhpvas.recovery.finetuning import TuningSettings, finetune

    settings = TuningSettings(**options.tuning, seed=options.seed).check()
    classifier, dataset = load_calibration(options, most=None)
    changed = scheme.on(classifier, folder)
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, before)

    def step(done: int, total: int) -> None:
        bar(done, total)
        if interrupted:
            raise Cancelled

    def say(course: Course) -> None:
        bar.say(f"step {course.points[-1].step} of {course.steps}: {course.points[-1]}")

    with Bar("fine-tuning") as bar:
        before = signal.signal(signal.SIGINT, interrupt)
        try:
            found = finetune(changed, dataset, scheme.mask, settings, watch=say, progress=step)
        except Cancelled:
            raise KeyboardInterrupt from None
        finally:
            signal.signal(signal.SIGINT, before)
    if found.stopped_at is not None:
        print(
            f"bhpvas: interrupted at step {found.stopped_at} of {found.course.steps}; the best "
            "state so far is kept.",
            file=sys.stderr,
        )
    return found, classifier, dataset


def document(
    options: Options, scheme: Scheme, found: Recovered | FineTuned, written: Path | None
) -> dict[str, Any]:
    return found.record() | {
        "method": options.method,
        "seed": options.seed,
        "removed_heads": removed_heads(scheme.mask),
        "scheme": str(options.out),
        "weights": str(written),
        "model": scheme.model,
    }


def refit_lines(found: Recovered, classifier: Classifier) -> list[str]:
    from bhpvas.text import plural

    def name(layer: int) -> str:
        group = classifier.geometry.group_of(layer)
        return f"layer {layer:<3}" if len(group) == 1 else f"layers {group[0]} to {group[-1]}"

    reports = [
        *((f"{name(one.layer)} error", one) for one in found.layers),
        *((f"{name(one.layer)} feed-forward error", one) for one in found.feed_forward),
    ]
    return [
        *(f"{said} {one.error_before:8.4f} → {one.error_after:.4f}" for said, one in reports),
        "Errors are shares of the variance of what the layer should say, measured on "
        f"{plural(found.held_out, 'held-out sentence')} of the {found.sentences:,} of "
        f"{found.calibration}.",
    ]


def tuning_lines(found: FineTuned) -> list[str]:
    from bhpvas.text import plural

    return [
        f"{'start':10} {found.course.start}",
        f"{f'step {found.best.step}':10} {found.best}",
        f"Measured on {plural(found.course.held_out, 'held-out sentence')} of the "
        f"{found.sentences:,} of {found.calibration}.",
    ]
