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
    from bhpvas.evaluation.learnt_from import LearntFrom
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
    from bhpvas.evaluation.comparison import UNPRUNED, compare
    from bhpvas.evaluation.data_record import data_record
    from bhpvas.evaluation.evaluation import evaluate
    from bhpvas.evaluation.learnt_from import learnt_from
    from bhpvas.model.states import StateCache
    from bhpvas.scheme.scheme import Scheme

    if options.random < 0:
        raise BhpvasError(f"--random {options.random} is no number of masks: give 0 or more.")
    check_out("The table", options.out)
    with ExitStack() as stack:
        opened = {
            path: stack.enter_context(opened_scheme(path, options.model))
            for path in options.schemes
        }
        classifier, dataset = load(options)
        schemes = {path: scheme for path, (scheme, _) in opened.items()}
        candidates = {
            path: (scheme.on(classifier, folder), scheme.mask)
            for path, (scheme, folder) in opened.items()
        }
        evaluations, cache = {}, StateCache()
        plain = {UNPRUNED: (classifier, classifier.full_mask())}
        for name, (changed, mask) in {**plain, **candidates}.items():
            with Bar(f"evaluating {name}") as progress:
                evaluations[name] = evaluate(changed, dataset, mask, cache=cache, progress=progress)
        with Bar("comparing") as progress:
            table = compare(
                classifier,
                dataset,
                candidates,
                random=options.random,
                seed=options.seed,
                known=evaluations,
                progress=progress,
            )
    encoded = classifier.encode(dataset)
    counted = [
        learnt_from(scheme, encoded.fingerprints, evaluations[UNPRUNED], evaluations[name])
        for name, scheme in {UNPRUNED: Scheme.of(classifier), **schemes}.items()
    ]
    said = lines(table, counted)
    if options.random and table["neurons_removed"].nunique() > 1:
        said.append(f"{'random':12}beside schemes of heads alone: random masks lack no neurons")
    write("The table", options.out, csv_text(with_counts(table, counted)).encode("utf-8"))
    answer(
        options.json,
        document(options, classifier, dataset, table, counted),
        said,
        read=data_record(classifier, dataset, encoded, unpruned=evaluations[UNPRUNED]),
    )


def with_counts(table: pd.DataFrame, counted: Sequence[LearntFrom]) -> pd.DataFrame:
    """The table with how many of the sentences each row learnt from, and what the others say."""
    import pandas as pd

    headline = next(column for column in table if f"{column}_low" in table)
    rows = []
    for one in counted:
        record = one.record()
        unseen = record["unseen"] or {}
        if headline == "accuracy":
            value, ends = unseen.get("accuracy"), unseen.get("accuracy_interval")
            change = unseen.get("accuracy_change") or {}
        else:
            value, ends = unseen.get("value"), unseen.get("interval")
            change = unseen.get("change") or {}
        low, high = ends or (None, None)
        rows.append(
            {
                "learnt_from": record["learnt_from"],
                "unseen_sentences": unseen.get("n"),
                f"unseen_{headline}": value,
                f"unseen_{headline}_low": low,
                f"unseen_{headline}_high": high,
                "unseen_change": change.get("change"),
                "unseen_change_low": change.get("low"),
                "unseen_change_high": change.get("high"),
            }
        )
    counts = {"learnt_from": "Int64", "unseen_sentences": "Int64"}
    return table.join(pd.DataFrame(rows).astype(counts))


# Columns of p-values.
_P = ("mcnemar_p", "mcnemar_p_corrected", "p", "p_corrected")


def lines(table: pd.DataFrame, counted: Sequence[LearntFrom]) -> list[str]:
    from bhpvas.text import NOTHING

    shown = table.assign(
        learnt_from=["?" if one.count is None else one.count for one in counted],
        **{name: table[name].map(_p, "ignore") for name in _P if name in table},
    )
    return [
        shown.to_string(index=False, na_rep=NOTHING, float_format=lambda x: f"{x:z.4f}"),
        *(
            f"{'warning':12}{name}: {warning}"
            for name, one in zip(table["scheme"], counted, strict=True)
            for warning in one.warnings()
        ),
    ]


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def document(
    options: Options,
    classifier: Classifier,
    dataset: Dataset,
    table: pd.DataFrame,
    counted: Sequence[LearntFrom],
) -> dict[str, Any]:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {
        "rows": [row | one.record() for row, one in zip(rows, counted, strict=True)],
        "data": dataset.name,
        "task": classifier.task.name,
        "headline": classifier.task.headline.name,
        "table": str(options.out),
        "model": model_record(classifier),
    }
