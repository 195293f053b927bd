"""Section on changes: which sentences are answered differently, by slice and one by one."""

from __future__ import annotations

from math import isfinite

import pandas as pd

from bhpvas import text
from bhpvas.charts.slices import slice_changes, slice_levels
from bhpvas.evaluation.comparison import headline_change, mcnemar
from bhpvas.evaluation.slices import Grouping, groupings, sentence_table, slice_table
from bhpvas.report import tables
from bhpvas.report.blocks import Data, Picture, Section, TableBlock
from bhpvas.report.findings import Findings
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import SingleLabel

#: Sentences that are listed; the file of their data has all.
MOST_SENTENCES = 200
#: What the table of changed answers says of them, by the kind of task.
_LOST = {
    SingleLabel: "Lost: right before and wrong now. The number is the probability of the answer.",
    Score: "Lost: farther from its label than before; gained: nearer.",
    SeveralLabels: "Lost: the whole set was right and is not now; gained: it is right now; other: "
    "neither.",
}
#: Slices that a figure shows.
MOST_SLICES = 40


def section(found: Findings) -> Section:
    """The section as it stands in the report."""
    whole = sentence_table(found.evaluation, found.before, found.after, found.lengths)
    changed = whole[whole["outcome"] != "same"]
    ways = groupings(found.evaluation, found.task, found.lengths)
    slices = tuple(_slices(found, ways[name], name) for name in ("tag", "class") if name in ways)
    lost, gained = ((changed["outcome"] == what).sum() for what in ("lost", "gained"))
    worse, better = found.task.became
    said = (
        f"{len(changed):,} of {text.plural(found.after.n, 'sentence')} "
        f"{'is' if len(changed) == 1 else 'are'} answered differently from the unpruned model"
        f"{_when(found)}: {lost} {worse}, {gained} {better}{_test(found)}."
    )
    return Section(
        "changes", "What the model answers differently", said, [slices, _flipped(found, changed)]
    )


def _slices(found: Findings, way: Grouping, name: str) -> Picture:
    table, task = slice_table(way, found.before, found.after), found.task
    metric, shown = task.headline, table
    if len(table) > MOST_SLICES:
        shown = table.sort_values([f"{metric.name} change", "n"], ascending=[True, False])
        shown = shown.head(MOST_SLICES)
    pruned = found.before is not found.after
    reading = (
        f"Change of {metric.title_in_text}{' in points' * metric.share} with its 95% interval, "
        "worst hit on top; grey: how many sentences. Red lost, blue gained."
        if pruned
        else f"{metric.title} with its 95% interval, worst on top; grey: how many sentences."
    )
    if len(shown) < len(table):
        reading += f" The {len(shown)} worst of {len(table)}."
    title = f"By {way.title.lower()}"
    return Picture(
        title,
        reading,
        (slice_changes if pruned else slice_levels)(shown, task, metric),
        Data(f"slices-by-{name}", table),
        f"{title}: {text.plural(len(shown), 'slice')}",
    )


def _flipped(found: Findings, changed: pd.DataFrame) -> TableBlock:
    shown = changed.index[:MOST_SENTENCES]
    tagged = found.evaluation.tags is not None
    said = _LOST[type(found.task)]
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
    data = found.evaluation
    said = data.texts[place] + (f" | {data.pairs[place]}" if data.pairs else "")
    outcome = str(changed.loc[place, "outcome"])
    row = [tables.name(outcome), tables.text(said)]
    row += _label_cells(found, place) if found.after.is_single_label else _cells(found, place)
    return row + ([tables.text(data.tags[place])] if data.tags is not None else [])


def _label_cells(found: Findings, place: int) -> list[str]:
    """Label and answers of one label out of several, with how probable they are."""
    names = found.after.label_names
    truth = int(found.after.labels[place])
    cells = [tables.label(truth, names[truth])]
    for one in (found.before, found.after):
        answer = int(one.predictions[place])
        cells.append(tables.label(answer, names[answer], f"{one.probabilities[place, answer]:.2f}"))
    return cells


def _cells(found: Findings, place: int) -> list[str]:
    """Label and answers of another task in words."""
    answers = [found.after.labels, found.before.predictions, found.after.predictions]
    return [tables.text(found.task.words(one[[place]])[0]) for one in answers]


def _when(found: Findings) -> str:
    """When an answer counts as another one; of one label that needs no word."""
    if found.after.is_single_label:
        return ""
    return f" ({found.task.changed_if(found.after.labels)})"


def _test(found: Findings) -> str:
    """The test of the change; of whole sets of labels McNemar's, and the change of the headline."""
    if found.after.is_single_label:
        return f" ({text.p_value(mcnemar(found.before, found.after).p)}, McNemar)"
    said = ""
    if found.task.right(found.after.logits, found.after.labels) is not None:
        test = mcnemar(found.before, found.after)
        said = f" ({text.p_value(test.p)}, McNemar of whole sets right)"
    change, metric = headline_change(found.before, found.after), found.task.headline
    if not isfinite(change.change):
        return said
    return (
        f"{said}. {metric.title}: {metric.change_text(change.change)}, {text.p_value(change.p)} "
        f"({found.task.test_in_brackets})"
    )
