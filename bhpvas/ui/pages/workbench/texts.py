"""Definitions of the views of Workbench: what each shows, its source, and when it misleads."""

from __future__ import annotations

from dataclasses import replace

from bhpvas.tasks.base import Metric, Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import ACCURACY, SingleLabel
from bhpvas.ui.widgets.help import HelpText

HEAD_MAP = HelpText(
    definition="One cell a head: layers upward from 0, the layer that reads the words first; heads "
    "left to right. Heads of one layer have no order, so neighbours in a row mean nothing. A "
    "crossed-out cell is a removed head, a framed one is selected. The wide cell at the right of a "
    "layer is its feed-forward part, filled as far as its neurons are kept. Where layers share "
    "their weights, a row above them is the head in all of them at once: coloured by the mean of "
    "its values there or, of an ablation, by what was measured without all; struck through where "
    "some layers lack it.",
    source="Head numbering as in transformers, counted from zero",
    misleads="Colours are comparable within one map. After a removal every value is measured anew "
    "on the smaller model, so a head's colour can change.",
)
WIDTH = HelpText(
    definition="The feed-forward part of a layer passes each word by itself through many neurons; "
    "its width is how many. A neuron is an activation between the up and the down projection, and "
    "leaves with its row of the one and its column of the other. Which go first, their gradients "
    "say: the mean over calibration sentences of the squared gradient at a factor on the neuron. "
    "The curve is exact: the change of the loss, or of the accuracy, when this layer alone is "
    "narrowed so, measured at each dot; between two dots it is read off the straight line.",
    formula=r"F(l,j)=\mathrm{mean}_b\,(\partial\mathrm{loss}_b/\partial g_{b,l,j})^2",
    source="Kwon et al. 2022, A Fast Post-Training Pruning Framework for Transformers, for the "
    "order of neurons",
    misleads="Each curve is of one layer alone: several together cost more or less than the sum. "
    "Nothing is refitted in it, and a refit can win most of a loss back. Where a model is too sure "
    "of itself, the loss can fall while the accuracy falls, too: look at both.",
)
COST = HelpText(
    definition="The estimate follows from the gradients at the current mask alone: first order in "
    "the gates; for the accuracy, of each sentence by itself. Remove measures exactly, on the "
    "evaluation split.",
    formula=r"\Delta\mathrm{loss}\approx-d^\top\bar g,\quad d=1-\mathrm{mask}",
    source="Molchanov et al. 2017, Pruning Convolutional Neural Networks for Resource Efficient "
    "Inference, for gates of heads and with the sign kept",
    misleads="From a third of the heads on it is weak: it hardly tells masks of one size apart. It "
    "is of the calibration sentences; on others a change by a few heads differs by as much as it "
    "is large. How far off it is on the sample stands in docs/benchmarks.md.",
)
PROFILE = HelpText(
    definition="Where a head's attention goes on average: to [CLS], to [SEP], to the asking token "
    "itself, to its neighbours, to punctuation, or to the rest. A row sums to 100%.",
    source="Categories after Clark et al. 2019, What Does BERT Look At?",
    misleads="Attention to [SEP] often means that the head does nothing there; what a head looks "
    "at is not yet what it does.",
)
BY_CLASS = HelpText(
    definition="The same importance, averaged over the sentences of each label alone. Dots far "
    "apart: the head matters for one class more than for the other.",
    source="Michel, Levy, Neubig 2019, per sentence; split by label here",
    misleads="A class on which the model is unsure has larger gradients everywhere, which moves "
    "all dots of that class to the right.",
)
SCATTER = HelpText(
    definition="Two criteria against each other, one point a head. The rank correlation says how "
    "far they agree on the order in which heads should go: 1 is the same order, 0 is no relation.",
    source="Spearman 1904",
    misleads="A correlation over all heads says little about the few that would go first; look at "
    "that corner of the plot.",
)
TIMELINE = HelpText(
    definition="Each point is a measured step: accuracy on the evaluation split, with its 95% "
    "interval, against the number of heads kept; where any step lost neurons, against the share of "
    "the unpruned model's FLOPs. Steps run to the right as parts go; branches you left stay as "
    "dotted lines.",
    source="Wilson 1927 for the interval of each accuracy",
    misleads="The intervals are for each accuracy alone. Two steps share their sentences, so their "
    "difference is far more certain than the overlap suggests: its interval is in the sidebar.",
)
CHANGED = HelpText(
    definition="Sentences whose prediction differs between the two models, with both predictions "
    "and the probability that each gives to its answer. Lost: right before, wrong now. Gained: the "
    "other way round.",
    source="McNemar 1947, exact, for whether lost and gained are as many by chance",
    misleads="With few changed sentences a large p-value means too little data, not no effect.",
)
CHANGED_SCORES = HelpText(
    definition="Sentences whose score moved by more than 5% of the range of the labels, those that "
    "moved most first, with both scores. Farther: the score is farther from the label now. Nearer: "
    "the other way round. p is of the change of the Pearson correlation over all sentences.",
    source="Efron and Tibshirani 1993, An Introduction to the Bootstrap, for p: the same sentences "
    "are drawn of both models; where 5% are enough to count is our own",
    misleads="A model whose every score moves by the same amount orders the sentences as before: "
    "many changed scores need not cost any correlation.",
)
CHANGED_SETS = HelpText(
    definition="Sentences whose set of labels differs between the two models. Lost: the whole set "
    "was right, and is not now. Gained: the other way round. Other: neither set "
    "is right.",
    source="McNemar 1947, exact, for whether as many whole sets are lost as gained by chance",
    misleads="A set with one label too many counts as wrong as one with none in common: F1 counts "
    "labels one by one.",
)
_SOURCES = {
    "pearson": "A bootstrap over sentences for the interval of each correlation",
    "f1_micro": "A bootstrap over sentences for the interval of each F1",
}


def cost(task: Task) -> HelpText:
    """Of the estimate, which is of the loss alone unless one label out of several is answered."""
    if isinstance(task, SingleLabel):
        return COST
    only = "; of the loss alone, since no first order leads to the " + task.headline.title_in_text
    return replace(
        COST,
        definition=COST.definition.replace("; for the accuracy, of each sentence by itself", only),
    )


def timeline(metric: Metric) -> HelpText:
    """Of steps that are measured by a headline."""
    if metric == ACCURACY:
        return TIMELINE
    name = metric.title_in_text
    return replace(
        TIMELINE,
        definition=TIMELINE.definition.replace("accuracy", name),
        source=_SOURCES[metric.name],
        misleads=TIMELINE.misleads.replace("for each accuracy alone", f"for each {name} alone"),
    )


def changed(task: Task) -> HelpText:
    """Of answers that changed."""
    if isinstance(task, Score):
        return CHANGED_SCORES
    return CHANGED_SETS if isinstance(task, SeveralLabels) else CHANGED


def group(task: Task) -> str:
    """What sentences of like labels are called."""
    if isinstance(task, Score):
        return "half of the labels"
    return "label" if isinstance(task, SeveralLabels) else "class"


def by_class(task: Task) -> HelpText:
    """Of importance by sentences of like labels."""
    if isinstance(task, Score):
        return replace(
            BY_CLASS,
            definition="The same importance, averaged over the sentences whose label is at most "
            "the median, and over the others. Dots far apart: the head matters for one half more.",
            misleads="Where the model errs more, gradients are larger everywhere, which moves all "
            "dots of that half to the right.",
        )
    if isinstance(task, SeveralLabels):
        return replace(
            BY_CLASS,
            definition="The same importance, averaged over the sentences that have each label; one "
            "with several counts for each. Dots far apart: the head matters for one label more.",
        )
    return BY_CLASS
