"""Section on scores: what was known of the heads before any was removed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bhpvas import text
from bhpvas.charts.head_columns import Column, Weighing, columns
from bhpvas.charts.head_columns import table as head_table
from bhpvas.charts.head_map import head_map
from bhpvas.criteria import CRITERIA
from bhpvas.report import tables
from bhpvas.report.blocks import Data, Picture, Section, TableBlock
from bhpvas.report.findings import Findings


def section(found: Findings) -> Section:
    """The section as it stands in the report."""
    every = columns(found.scores, found.ablation, Weighing())
    shown = {name: one for name, one in every.items() if name != "combined"}
    frame = head_table(every, found.mask)
    data, ablated = found.calibration, "ablation-loss" in shown
    maps = tuple(_map(found, one, frame) for one in shown.values())
    said = (
        f"What the criteria said of each head of the unpruned model, on "
        f"{text.plural(len(data), 'sentence')} of {data.name}. A white cross marks a head that "
        "the scheme removed."
    )
    if ablated:
        said += " Ablation is exact: each head removed alone."
    return Section(
        "scores",
        "What was known of the heads",
        said,
        [maps, _criteria(found, shown), _heads(every, frame)],
    )


def _map(found: Findings, column: Column, frame: pd.DataFrame) -> Picture:
    whole = found.classifier.full_mask()
    removed = found.mask.masked
    hover = column.hover(whole).astype(object)
    for head in removed:
        hover[head.layer, head.head] += "<br>removed by the scheme"
    own = (column.name, *(f"{column.name} rank{end}" for end in ("", " low", " high")))
    wanted = [name for name in frame if name in ("head", "layer", "kept", *own)]
    return Picture(
        column.title,
        column.reading,
        head_map(
            column.values,
            whole,
            title=column.title,
            hover=hover,
            change=column.change,
            rise_is_bad=column.rise_is_bad,
            removed_since=removed,
        ),
        Data(column.name, frame[wanted]),
        f"Head map of {column.title}, {whole.layers} layers by {whole.heads} heads",
    )


def _criteria(found: Findings, shown: Mapping[str, Column]) -> TableBlock:
    """The criteria side by side: what they say, and how the scheme stands to them."""
    kept = found.mask.kept
    effect = shown.get("ablation-loss")
    rows, records = [], []
    for name, column in shown.items():
        medians = [_middle(column.values[where]) for where in (kept, ~kept)]
        agreement = np.nan if effect is None or column is effect else column.agreement(effect)
        records.append(
            {
                "criterion": column.title,
                "higher_means": column.higher_means,
                "median_kept": medians[0],
                "median_removed": medians[1],
                "agreement_with_ablation": agreement,
            }
        )
        rows.append(
            [
                tables.name(column.title),
                tables.text(CRITERIA[name].summary if name in CRITERIA else column.help),
                tables.text(f"high = {column.higher_means}", wrap=False),
                *(tables.text(text.number(value), wrap=False) for value in medians),
                *([] if effect is None else [tables.text(text.signed(agreement, 2), wrap=False)]),
                tables.text(CRITERIA[name].source if name in CRITERIA else "Michel et al. 2019"),
            ]
        )
    agreeing = [] if effect is None else ["Agrees with ablation"]
    return TableBlock(
        "Criteria",
        "Medians over the heads that the scheme kept and over those that it removed."
        + (" Agreement is Spearman's rank correlation with the loss change." * bool(agreeing)),
        ["", "What it says", "Direction", "Kept", "Removed", *agreeing, "Source"],
        rows,
        Data("criteria", pd.DataFrame(records)),
    )


def _middle(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _heads(every: Mapping[str, Column], frame: pd.DataFrame) -> TableBlock:
    kept = frame.set_index("head")["kept"]
    return TableBlock(
        "Every head",
        "Value and rank by each criterion, with the rank's 95% interval where it is known; by "
        "importance, first to go on top.",
        ["Head", "", *(column.title for column in every.values())],
        [
            [
                tables.name(str(head)),
                tables.text("kept" if kept[str(head)] else "removed", wrap=False),
                *(
                    tables.text(column.value(head), column.rank(head), wrap=False)
                    for column in every.values()
                ),
            ]
            for head in every["importance"].first_to_go
        ],
        Data("heads", frame),
        folded=True,
    )
