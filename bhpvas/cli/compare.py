"""`bhpvas compare`: schemes side by side, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bhpvas.cli.inputs import load, opened_scheme
from bhpvas.cli.options import DataOptions, PassOptions, option
from bhpvas.cli.output import Bar, answer, check_out, model_record, write
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    import pandas as pd

    from bhpvas.data.dataset import Dataset
    from bhpvas.model.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions, DataOptions):
    schemes: Sequence[str] = option("scheme files", "S", flag="schemes", nargs="+")
    random: int = option(
        "random masks to set beside each number of removed heads (default: 20; 0 = none)",
        "N",
        default=20,
    )
    seed: int = option("of the random masks (default: 0)", default=0)
    out: str = option("table to write, as CSV", "FILE", required=True)


def run(options: Options) -> None:
    """Measure schemes side by side, with random masks of the same size, and write a table."""
    from bhpvas.data.tables import csv_text
    from bhpvas.evaluation.comparison import compare
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.evaluation.evaluation import evaluate

    if options.random < 0:
        raise BhpvasError(f"--random {options.random} is no number of masks: give 0 or more.")
    check_out("The table", options.out)
    with ExitStack() as stack:
        opened = {
            path: stack.enter_context(opened_scheme(path, options.model))
            for path in options.schemes
        }
        classifier, dataset = load(options)
        with Bar("evaluating the unpruned model") as progress:
            unpruned = evaluate(classifier, dataset, progress=progress)
        with Bar("comparing") as progress:
            table = compare(
                classifier,
                dataset,
                {
                    path: (scheme.on(classifier, folder), scheme.mask)
                    for path, (scheme, folder) in opened.items()
                },
                random=options.random,
                seed=options.seed,
                unpruned=unpruned,
                progress=progress,
            )
    write("The table", options.out, csv_text(table).encode("utf-8"))
    lines = [table.to_string(index=False, float_format=lambda x: f"{x:.4f}")]
    read = data_record(classifier, dataset, unpruned=unpruned)
    answer(options.json, document(options, classifier, dataset, table), lines, read=read)


def document(
    options: Options, classifier: Classifier, dataset: Dataset, table: pd.DataFrame
) -> dict[str, Any]:
    return {
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
        "data": dataset.name,
        "table": str(options.out),
        "model": model_record(classifier),
    }
