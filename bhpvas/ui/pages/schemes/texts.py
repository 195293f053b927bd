"""Definitions of the views of Schemes: what each shows, its source, and when it misleads."""

from __future__ import annotations

from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import SingleLabel
from bhpvas.ui.widgets.help import HelpText

# What KL is of, by the kind of task.
_KL: dict[type[Task], str] = {
    SingleLabel: r"\mathrm{KL}=\mathrm{mean}_b\sum_c p_b(c)\,\log\frac{p_b(c)}{q_b(c)}",
    Score: r"\mathrm{KL}=\mathrm{mean}_b\ \tfrac12\,(z_b-z'_b)^2",
    SeveralLabels: r"\mathrm{KL}=\mathrm{mean}_b\sum_c\mathrm{KL}(p_b(c)\,\|\,q_b(c))",
}
# What a training is of: the loss, and how answers differ.
_LOSSES: dict[type[Task], tuple[str, str]] = {
    SingleLabel: ("cross-entropy", ""),
    Score: ("loss that the score is trained by, squared error or binary cross-entropy,", ""),
    SeveralLabels: ("binary cross-entropy", ", label by label"),
}
# What KL sees, and what else a table of measures says, where the task is not one label.
_MOVED: dict[type[Task], str] = {
    Score: "of a score without a sigmoid it is half the squared movement",
    SeveralLabels: "it is summed over the labels, and sees a probability that falls without a flip",
}
_BECAME: dict[type[Task], str] = {
    Score: "Changed: moved by more than 5% of the range of the labels, farther from the label or "
    "nearer.",
    SeveralLabels: "Changed: another set of labels. Lost: the whole set was right, and is not now.",
}
_MISLEADS: dict[type[Task], str] = {
    Score: "A correlation does not see scores that all move alike, or that are stretched: the "
    "errors and the loss do.",
    SeveralLabels: "Micro F1 is ruled by frequent labels: macro F1 and F1 of each label say what "
    "becomes of rare ones.",
}
_FLIP: dict[type[Task], str] = {
    SingleLabel: "",
    Score: ": by more than 5% of the range of the labels",
    SeveralLabels: ": with another set of labels",
}
_BECAME_UNDER: dict[type[Task], str] = {
    SingleLabel: "Gained: wrong before, right under every step that flips it; other: neither.",
    Score: "Lost: farther from its label under every step that flips it; gained: nearer; other: "
    "neither.",
    SeveralLabels: "Lost: the whole set was right before; gained: it is right under every step "
    "that flips it; other: neither.",
}


def tree(task: Task) -> HelpText:
    """The tree, where steps score the task's headline."""
    of, interval = task.headline.title_in_text, "Percentiles of a bootstrap for the intervals"
    if isinstance(task, SingleLabel):
        interval = "Wilson 1927 for the interval of each accuracy"
    return HelpText(
        definition="A node is a step: heads or feed-forward neurons removed or restored, or "
        "weights changed. Its number is how many heads it keeps, with how many neurons where "
        f"some are gone, at the right the {of} on the evaluation split with the 95% interval. A "
        "line leads to the step that it was made from; a step made after going back starts a "
        "branch. Each step keeps which sentences it learnt from: those that chose its heads or "
        "fitted its weights. Heads chosen by hand here count as chosen by the calibration split, "
        "which the head maps are of. An open mark: some of these sentences measured it, too.",
        source=f"{interval}; the picture is our own",
        misleads="Choosing the best of many steps by the same sentences flatters it: what it "
        "scores on new sentences is likely a little lower. Compare says how sure a difference "
        "is.",
    )


PROPOSAL = HelpText(
    definition="The method looks at the model as it stands and at the calibration split alone, and "
    "names heads in the order in which they should go, each with its reason. A sentence that is in "
    "both splits is counted where it measures. Nothing is removed until you take it as a step; "
    "only then is it measured on the evaluation split. One within a drop that was "
    "measured with compensation is taken with it, as two steps. A click on the map turns a head "
    "over: it stays, or it goes as well.",
    source="One registry of methods; each names its own",
    misleads="What is expected comes from the sentences that the method learnt from, so new ones "
    "may like it less. A reason says what the method saw, not that it is right.",
)


def target(task: Task) -> HelpText:
    """A target, and how far answers move, which the task says."""
    return HelpText(
        definition="How far the answers move when one attention or feed-forward part alone is "
        "narrowed and refitted is measured on calibration sentences; taken as adding up, it says "
        "which widths lose least for each share of the cost. So narrowed, each layer is refitted "
        "from the lowest up, on what the layers below feed it. KL is how far the answers then "
        "are from the unpruned model's, on average over the calibration sentences. FLOPs are "
        "those of a mean calibration sentence, parameters those of the whole model with its "
        "embeddings. A crossed-out head goes, and a feed-forward part is filled as far as it "
        "stays. Click a point to look at it; nothing is removed until you take it.",
        formula=_KL[type(task)],
        source="Own; relatives are optimal brain surgeon (Hassibi 1993), optimal brain "
        "compression (Frantar, Alistarh 2022) and ZipLM (Kurtic et al. 2023)",
        misleads="KL on the sentences that it learnt from flatters, the more the fewer they are: "
        "what a model loses on others, the evaluation split says once it is measured. Parts "
        "narrowed together lose more, or less, than the sum of each alone.",
    )


RECOVERY = HelpText(
    definition="The kept heads of each layer are fitted to say what its attention used to say, and "
    "where neurons are gone, the kept ones what its feed-forward part did, from the lowest layer "
    "up, on what the pruned network feeds them. The result is folded into the output projection "
    "and the second feed-forward matrix (thorough: that one in every layer), so the model does not "
    "grow. The error is on calibration sentences that were held out of the fit: 0 is as the "
    "unpruned layer, 1 is no better than its mean.",
    formula=r"\min_{W,b}\ \sum_{t}\lVert y_t-Wz_t-b\rVert^2+\lambda\lVert W-W_0\rVert^2",
    source="Our own; relatives are Kwon et al. 2022 and optimal brain surgeon (Hassibi 1993)",
    misleads="A small error in every layer is no promise: what it costs is measured on the "
    "evaluation split, in the next step. It is fitted for what is kept; a head or neurons "
    "restored afterwards have no part in the fitted weights.",
)


def fine_tuning(task: Task) -> HelpText:
    """Fine-tuning, whose losses the task says."""
    loss, moved = _LOSSES[type(task)]
    return HelpText(
        definition="The model without what is removed is trained on by gradient descent (AdamW), "
        f"from the weights of the current step. Its loss mixes two: the {loss} of the labels, and "
        "how far its answers, softened by the temperature, are from those of the unpruned "
        f"model{moved}. An eighth of the sentences, at most 1,024, is held out; the state with "
        "the lowest loss on them is kept.",
        formula=r"(1-\alpha)\,\ell(y,z)+\alpha\,\tau^2\,\mathrm{KL}(z^{\mathrm{unpruned}}/\tau\,\|\,z/\tau)",
        source="Hinton, Vinyals, Dean 2015, Distilling the Knowledge in a Neural Network",
        misleads="Where the model was once trained on the same sentences, it knows the held-out "
        "ones by heart, so the start looks better than it is; the evaluation split, measured in "
        "the next step, does not. A few hundred sentences teach little: compensate first, and "
        "train on the command line with all that there is.",
    )


def curves(task: Task) -> HelpText:
    """The curves of the task's headline."""
    of = task.headline.title_in_text
    return HelpText(
        definition="Of heads alone: each method orders them by what it learns on the calibration "
        "split, and every feed-forward neuron stays; each point is the model without the first "
        f"of them, measured on the evaluation split: its {of}. The band holds 5 to 95% of random "
        f"orders, without compensation; its line is their median. The area is the mean {of} over "
        "all numbers of heads: one number for the whole curve.",
        formula=r"A=\frac{1}{n}\int_0^{n}m(k)\,dk",
        source="Curves after Michel, Levy, Neubig 2019, figure 3; the trapezoid rule",
        misleads="A point has its own uncertainty, about as wide as the interval in the sidebar. "
        "The area also counts regions where nobody would ship, and the best of many methods "
        "looks better than it is.",
    )


STEP = HelpText(
    definition="What the current step did, and what it keeps: layers upward from 0, heads left to "
    "right, and at the right each layer's feed-forward part, filled as far as it is kept. "
    "Coloured: the heads that this very step changed. A note stays with the step, in the file too. "
    "Deleting takes the later steps along; *Put back* returns them.",
    source="Own view",
    misleads="A step that only changed weights keeps the same as the one before it.",
)
KEPT = HelpText(
    definition="One map a step: layers upward from 0, heads left to right, each layer's "
    "feed-forward part at the right, filled as far as it is kept. Heads on which all chosen steps "
    "agree are pale; the others stand out.",
    source="Own view",
    misleads="Two steps may keep different heads and still answer alike: look at the flips. As "
    "many neurons need not be the same ones.",
)


_MEASURES_OF_LABELS = HelpText(
    definition="All on the evaluation split; where a step learnt from some of its sentences, the "
    "others are counted by themselves as well. KL is how far a sentence's answer moved from the "
    "unpruned model's, on average, in nats; it sees a probability that falls without a flip. "
    "Lost: right before, wrong now. Parameters and FLOPs are those of the model with what is "
    "gone really removed.",
    source="Intervals of accuracy: Wilson 1927, of its change: Tango 1998, of losses and KL: "
    "Student's, of F1: after Jeffreys (Brown, Cai, DasGupta 2001). Test: McNemar 1947, exact; "
    "corrected for the number of steps, and of pairs, by Holm 1979",
    misleads="Loss also punishes being sure and wrong: between two labels, guessing costs 0.693, "
    "so a loss can fall while accuracy falls. Intervals of single accuracies overlap long before "
    "a paired difference is unclear: read the change and the pairs. Whoever tries many steps "
    "finds one that looks good by chance.",
)


def measures(task: Task) -> HelpText:
    """The measures of a task, their intervals and their test."""
    if isinstance(task, SingleLabel):
        return _MEASURES_OF_LABELS
    return HelpText(
        definition="All on the evaluation split; where a step learnt from some of its sentences, "
        "the others are counted by themselves as well. KL is how far a sentence's answer moved "
        f"from the unpruned model's, on average, in nats; {_MOVED[type(task)]}. "
        f"{_BECAME[type(task)]} Parameters and FLOPs are those of the model with what is gone "
        "really removed.",
        source="Intervals of the loss, its change and KL: Student's, of whole sets: Wilson 1927, "
        "of F1 of a label: after Jeffreys (Brown, Cai, DasGupta 2001), of all else: percentiles "
        "of a bootstrap of the sentences, or of queries where they rank (Efron 1979). Test: "
        f"{task.test} (Efron, Tibshirani 1993), corrected for the number of steps, and of pairs, "
        "by Holm 1979",
        misleads="Intervals of single models overlap long before a paired difference is unclear: "
        f"read the change and the pairs. {_MISLEADS[type(task)]} Whoever tries many steps finds "
        "one that looks good by chance.",
    )


def flips(task: Task) -> HelpText:
    """Flips, which are what the task calls changed."""
    return HelpText(
        definition="A flip is a sentence that a step answers differently from the unpruned "
        f"model{_FLIP[type(task)]}. Each bar counts the sentences flipped by exactly the steps "
        f"with a filled dot below it. {_BECAME_UNDER[type(task)]}",
        source="Picture after Lex et al. 2014, UpSet: Visualization of Intersecting Sets",
        misleads="Steps of one branch share most of their heads, so they share flips for that "
        "reason alone.",
    )


SHIFT = HelpText(
    definition="Heads that are kept now, ranked by a criterion in the unpruned model and measured "
    "anew in the current one. Both orders are of the same heads, so removing others, or neurons, "
    "moves nobody by itself. A rise means that a head took over, or that those above it fell. "
    "Beyond chance is one with p up to 0.05: p is corrected for all heads, so where nothing "
    "changed no head is named in 95% of cases.",
    source="Own view; test by exchanging the two models' values sentence by sentence, single-step "
    "minP (Westfall, Young 1993); intervals by drawing the sentences again for both (Efron 1979)",
    misleads="In the middle of the order heads lie close, and small changes move them many places. "
    "An interval is of one head alone: among many heads some exclude 0 by chance, so trust p. Of "
    "few sentences it is too narrow: on the sample it held 66 of 100 rises at 5 sentences, 83 at "
    "20, 91 at 60 and 95 at 240.",
)
