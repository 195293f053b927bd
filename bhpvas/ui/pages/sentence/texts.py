"""Definitions of the views of Sentence: what each shows, its source, and when it misleads."""

from __future__ import annotations

from dataclasses import replace

from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.ui.widgets.help import HelpText

ARCS = HelpText(
    definition="Above the words: the dependency parse of a spaCy pipeline, an arc from each word "
    "to those that depend on it; the root and punctuation have none. Below: the attention of the "
    "shown heads, an arc from the unit that looks to a triangle at the one that is looked at, "
    "thicker for more weight. For words, attention is the sum over the pieces that are looked at "
    "and the mean over those that look. A relation is strong where the strongest attention among "
    "words follows it, from the dependent or from its head.",
    source="Clark et al. 2019, What Does BERT Look At?, section 4.1, for words from word pieces",
    misleads="Attention says where a head reads, not what it does with it. One sentence shows a "
    "coincidence as readily as a habit: the Roles page counts over many.",
)
CONTRIBUTIONS = HelpText(
    definition="What each head adds to the log-odds of the answer that the scheme gives, for this "
    "sentence alone, with what is switched off here. Exact removal runs the model without the "
    "head; the gate gradient is its first-order estimate from one pass.",
    formula=r"\Delta_h=\log\frac{p}{1-p}-\log\frac{p_{-h}}{1-p_{-h}},\qquad "
    r"\Delta_h\approx\frac{\partial}{\partial g_h}\log\frac{p}{1-p}",
    source="Gates after Michel, Levy, Neubig 2019; removal as ablation of one head",
    misleads="Heads that do the same work each look idle alone: switch several off. The parts do "
    "not sum to the whole, since heads act through each other.",
)
MATRIX = HelpText(
    definition="The attention of one head between the units: a row sums to 1 where [CLS] and [SEP] "
    "are shown and nothing is cut. The scale ends at the largest weight shown.",
    source="Vaswani et al. 2017",
    misleads="A bright column at [SEP] is often how a head does nothing. Hide the marks to see the "
    "rest, which is then scaled anew.",
)
ROLLOUT = HelpText(
    definition="How much of a unit after each layer comes from each input unit if attention is all "
    "that mixes: half of each layer is the mean map of its kept heads, half the residual "
    "connection, and layers multiply. Start with [CLS], which the classifier reads.",
    formula=r"\tilde A_l=\tfrac12(\bar A_l+I)\,\tilde A_{l-1}",
    source="Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers",
    misleads="It knows neither the values nor the feed-forward part, and takes all heads of a "
    "layer for equally important.",
)
BERTVIZ = HelpText(
    definition="Head view: all heads of a layer over each other; double-click a colour to see one "
    "alone, point at a token to see its lines. Model view: every head as a thumbnail; click one to "
    "enlarge it. A removed head has no lines.",
    source="Vig 2019, A Multiscale Visualization of Attention in the Transformer Model",
    misleads="Lines are as strong as attention weights, whatever the head does with them.",
)


def contributions(task: Task) -> HelpText:
    """Of what each head adds to what a task answers."""
    if isinstance(task, Score) and task.activation == "identity":
        return replace(
            CONTRIBUTIONS,
            definition="What each head adds to the score, for this sentence alone, with what is "
            "switched off here. Exact removal runs the model without the head; the gate gradient "
            "is its first-order estimate from one pass.",
            formula=r"\Delta_h=s-s_{-h},\qquad \Delta_h\approx\frac{\partial s}{\partial g_h}",
        )
    if isinstance(task, Score | SeveralLabels):
        of = "of the label that is chosen" if isinstance(task, SeveralLabels) else "of the score"
        return replace(
            CONTRIBUTIONS,
            definition=CONTRIBUTIONS.definition.replace("of the answer that the scheme gives", of),
        )
    return CONTRIBUTIONS
