"""Section on changes: which sentences are answered differently, by slice and one by one."""

from __future__ import annotations

import pandas as pd

from bhpvas import text
from bhpvas.charts.slices import slice_changes, slice_levels
from bhpvas.evaluation.comparison import mcnemar
from bhpvas.evaluation.slices import Grouping, groupings, sentence_table, slice_table
from bhpvas.report import tables
from bhpvas.report.blocks import Data, Picture, Section, TableBlock
from bhpvas.report.findings import Findings

#: Sentences that are listed; the file of their data has all.
MOST_SENTENCES = 200
#: Slices that a figure shows.
MOST_SLICES = 40


def section(found: Findings) -> Section:
    """The section as it stands in the report."""
    whole = sentence_table(found.evaluation, found.before, found.after, found.lengths)
    changed = whole[whole["outcome"] != "same"]
    ways = groupings(found.evaluation, found.after.label_names, found.lengths)
    slices = tuple(_slices(found, ways[name], name) for name in ("tag", "class") if name in ways)
    test = mcnemar(found.before, found.after)
    said = (
        f"{len(changed):,} of {text.plural(found.after.n, 'sentence')} "
        f"{'is' if len(changed) == 1 else 'are'} answered differently from the unpruned model: "
        f"{test.lost} lost, {test.gained} gained ({text.p_value(test.p)}, McNemar)."
    )
    return Section(
        "changes", "What the model answers differently", said, [slices, _flipped(found, changed)]
    )


def _slices(found: Findings, way: Grouping, name: str) -> Picture:
    table = slice_table(way, found.before, found.after)
    shown = table
    if len(table) > MOST_SLICES:
        shown = table.sort_values(["accuracy change", "n"], ascending=[True, False])
        shown = shown.head(MOST_SLICES)
    pruned = found.before is not found.after
    reading = (
        "Change of accuracy in points with its 95% interval, worst hit on top; grey: how many "
        "sentences. Red lost, blue gained."
        if pruned
        else "Accuracy with its 95% interval, worst on top; grey: how many sentences."
    )
    if len(shown) < len(table):
        reading += f" The {len(shown)} worst of {len(table)}."
    title = f"By {way.title.lower()}"
    return Picture(
        title,
        reading,
        slice_changes(shown) if pruned else slice_levels(shown),
        Data(f"slices-by-{name}", table),
        f"{title}: {text.plural(len(shown), 'slice')}",
    )


def _flipped(found: Findings, changed: pd.DataFrame) -> TableBlock:
    shown = changed.index[:MOST_SENTENCES]
    tagged = found.evaluation.tags is not None
    said = "Lost: right before and wrong now. The number is the probability of the answer."
    if len(shown) < len(changed):
        said += f" The first {len(shown)}; the file has all {len(changed):,}."
    if changed.empty:
        said = "No answer changed."
    return TableBlock(
        "Answers that changed",
        said,
        ["", "Sentence", "Label", "Before", "Now", *(["Tag"] * tagged)],
        [_flipped_row(found, changed, int(place)) for place in shown],
        Data("changed-sentences", changed.rename_axis("place").reset_index()),
    )


def _flipped_row(found: Findings, changed: pd.DataFrame, place: int) -> list[str]:
    data, names = found.evaluation, found.after.label_names
    said = data.texts[place] + (f" | {data.pairs[place]}" if data.pairs else "")
    truth = int(found.after.labels[place])
    row = [
        tables.name(str(changed.loc[place, "outcome"])),
        tables.text(said),
        tables.label(truth, names[truth]),
    ]
    for one in (found.before, found.after):
        answer = int(one.predictions[place])
        row.append(tables.label(answer, names[answer], f"{one.probabilities[place, answer]:.2f}"))
    return row + ([tables.text(data.tags[place])] if data.tags is not None else [])
