"""`bhpvas report`: a scheme as one HTML page."""

from __future__ import annotations

from dataclasses import dataclass

from bhpvas.cli.inputs import calibration_of, check_sentences, load, opened_scheme, suited
from bhpvas.cli.options import BothOptions, option
from bhpvas.cli.output import Bar, answer, model_record
from bhpvas.errors import BhpvasError


@dataclass(frozen=True, kw_only=True)
class Options(BothOptions):
    """``command_line`` is what was typed, for the page."""

    command_line: str
    scheme: str = option("scheme file", "S", required=True)
    random: int = option(
        "random orders to set beside the scheme (default: 20; 0 = none)", "N", default=20
    )
    ablate: bool = option("remove each head alone, too, and measure")
    latency: int | None = option("also time a pass, on sentences of so many tokens", "TOKENS")
    out: str = option("page to write, as HTML", "FILE", required=True)


def run(options: Options) -> None:
    """Write everything about a scheme as one HTML page that needs no network."""
    from bhpvas.report import check_writable, write_report

    check_sentences(options)
    check_writable(options.out)
    tokens = options.latency
    if tokens is not None and tokens < 1:
        raise BhpvasError(f"--latency {tokens} is no length of a sentence: give 1 or more tokens.")
    with opened_scheme(options.scheme, options.model) as (scheme, folder):
        classifier, evaluation = load(options)
        if tokens is not None and tokens > classifier.geometry.max_length:
            raise BhpvasError(
                f"--latency {tokens} cannot be timed: the model reads at most "
                f"{classifier.geometry.max_length} tokens."
            )
        calibration = calibration_of(options, options.calibration)
        calibration = suited(calibration, classifier, options.calibration)
        with Bar("reporting") as progress:
            report = write_report(
                classifier,
                scheme,
                options.out,
                calibration=calibration,
                evaluation=evaluation,
                weights=folder,
                random=options.random,
                ablation=options.ablate,
                tokens=tokens,
                seed=options.seed,
                command=options.command_line,
                progress=progress,
            )
    document = report.record() | {"report": str(options.out), "model": model_record(classifier)}
    lines, found = [*document["summary"], f"Written to {options.out}"], report.findings
    read = {"read": found.read, "read_calibration": found.read_calibration}
    answer(options.json, document, lines, **read)
