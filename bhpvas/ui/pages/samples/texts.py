"""Definitions of the views of Samples: what each shows, its source, and when it misleads."""

from __future__ import annotations

from dataclasses import replace

from bhpvas.tasks.base import Task
from bhpvas.tasks.single_label import SingleLabel
from bhpvas.ui.widgets.help import HelpText

SENTENCE_MAP = HelpText(
    definition="One point a sentence, placed by the [CLS] state that leaves the chosen layer of "
    "the unpruned model: by UMAP of its first 50 principal components, or, with fewer than 60 "
    "sentences and until UMAP is done, by the first two components. The map is made once, with a "
    "fixed seed. Under the current scheme a sentence moves as its nearest unpruned neighbours "
    "would have it; one whose state did not change does not move.",
    source="McInnes, Healy, Melville 2018, UMAP: Uniform Manifold Approximation and Projection; "
    "the moves are our own",
    misleads="Near means alike; far means little. Sizes of groups, and gaps between them, depend "
    "on the settings of UMAP, and the axes mean nothing. Numbers are in the table and the slices.",
)
SLICES = HelpText(
    definition="Groups of sentences with what the scheme changes in each: accuracy in points or "
    "loss in nats, with the 95% interval of the change on the same sentences. Length bins hold "
    "about equally many sentences. Further columns of your file with 2 to 40 values can be slices.",
    source="Interval of the accuracy change: Tango 1998; of the loss change: Student's, paired. "
    "p: McNemar's exact test, corrected for the number of slices (Holm 1979)",
    misleads="Some slice is always the worst. With few sentences it is often so by chance, which "
    "is why its p-value counts how many slices were looked at.",
)
SCORES = HelpText(
    definition="One point a sentence: its label across, the score that the current scheme gives "
    "up. A score that moved by more than 5% of the range of the labels is joined to the unpruned "
    "one: ▼ farther from its label now, ▲ nearer.",
    source="Own picture",
    misleads="The Pearson correlation asks only how near the points lie to some straight line, not "
    "to the dotted one: scores that are all too high by as much cost nothing there, and do in the "
    "loss.",
)
DIFFERENCE = HelpText(
    definition="Importance of every head for each sentence, averaged over the selected sentences "
    "and over the rest; shown is the difference. A share is a head's part of a sentence's "
    "importance over all heads, so that it does not matter that a sentence answered wrongly has "
    "larger gradients everywhere; an amount is the gradient itself. A dot marks heads whose "
    "difference is larger than chance: in fewer than 5% of 1,000 random divisions of the same "
    "sentences does any head differ as much (Welch's t, maxT).",
    formula=r"\Delta(l,h)=\overline{s_b(l,h)}^{\,b\in\text{selected}}-"
    r"\overline{s_b(l,h)}^{\,b\in\text{rest}},\quad s_b=\frac{|\partial\,\mathrm{loss}_b/"
    r"\partial g|}{\sum_{l,h}|\partial\,\mathrm{loss}_b/\partial g|}",
    source="Importance: Michel, Levy, Neubig 2019. Test: Westfall and Young 1993, with the "
    "largest statistic of all kept heads, so it holds for however many there are",
    misleads="It says for which sentences a head matters, not why. A selection made by looking at "
    "predictions or probabilities differs in gradients for that reason alone. On evaluation "
    "sentences it explains and must not choose: heads picked by them cannot be measured on them "
    "any more.",
)


def slices(task: Task) -> HelpText:
    """Of slices of sentences that a model of a task answers."""
    if isinstance(task, SingleLabel):
        return SLICES
    headline = task.headline.title_in_text
    return replace(
        SLICES,
        definition=SLICES.definition.replace(
            "accuracy in points or loss in nats", f"{headline} or loss"
        ),
        source=f"Interval of the change of the {headline}, and p: {task.test}, over the sentences "
        "of the slice; p corrected for the number of slices (Holm 1979). Of the loss change: "
        "Student's, paired",
    )
