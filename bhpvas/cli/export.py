"""`bhpvas export`: the pruned model as a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bhpvas.cli.inputs import load, opened_scheme
from bhpvas.cli.options import DataOptions, option
from bhpvas.cli.output import Bar, answer, learnt_lines, model_record

if TYPE_CHECKING:
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.export import Exported


@dataclass(frozen=True, kw_only=True)
class Options(DataOptions):
    scheme: str = option("scheme file", "S", required=True)
    format: str = option(
        "transformers (a smaller folder), onnx (for ONNX Runtime) or dense (zeros, as large)",
        "F",
        required=True,
    )
    int8: bool = option("with onnx: add a quantised graph, measured by itself")
    batch: int = option(
        "sentences at once that the files are timed on (default: 8)", "N", default=8
    )
    length: int | None = option("tokens of each (default: 32, or as many as the model reads)", "N")
    out: str = option("folder to write; must not exist yet", "FOLDER", required=True)


def run(options: Options) -> None:
    """Write the pruned model as files that work elsewhere, read back and measured."""
    from bhpvas.export import check_folder, export_model, format_named
    from bhpvas.model.runtimes import Timing

    format_named(options.format)
    check_folder(options.out)
    with opened_scheme(options.scheme, options.model) as (scheme, folder):
        classifier, dataset = load(options)
        length = options.length
        if length is None:
            length = min(Timing().length, classifier.geometry.max_length)
        with Bar("exporting") as progress:
            found = export_model(
                classifier,
                scheme,
                options.out,
                options.format,
                dataset=dataset,
                weights=folder,
                int8=options.int8,
                data=options.data,
                timed=(options.batch, length),
                progress=progress,
            )
    document = found.record() | {"model": model_record(classifier)}
    answer(options.json, document, lines(options, found), read=found.read)


def _line(name: str, one: Evaluation) -> str:
    """The headline of an evaluation, with its interval and where it was measured."""
    where = f"{one.n} sentences of {one.dataset}"
    if not one.is_single_label:
        return f"{name:8} {one.headline_text()}, {where}"
    low, high = one.accuracy_interval
    return (
        f"accuracy {name:8} {100 * one.accuracy:5.1f}% (95% interval {100 * low:.1f} to "
        f"{100 * high:.1f}, {where})"
    )


def lines(options: Options, found: Exported) -> list[str]:
    said = [f"{name:34}{size / 1e6:>10.2f} MB" for name, size in found.files.items()]
    measured = (
        ("before", found.before, None),
        ("after", found.after, found.learnt_from),
        ("int8", found.int8, found.int8_learnt_from),
    )
    for name, one, counted in measured:
        if one is not None:
            said.append(_line(name, one))
        if counted is not None:
            said += learnt_lines(counted)
    if found.latencies is not None:
        said.append(found.latencies.line())
    return [
        *said,
        f"Read back: logits differ from the masked model's by {found.difference:.1g} at most; "
        f"written to {options.out}",
    ]
