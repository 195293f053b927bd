"""Definitions of the views of Schemes: what each shows, its source, and when it misleads."""

from __future__ import annotations

from bhpvas.ui.widgets.help import HelpText

TREE = HelpText(
    definition="A node is a step: heads or feed-forward neurons removed or restored, or weights "
    "changed. Its number is how many heads it keeps, with how many neurons where some are gone, "
    "its height the accuracy on the evaluation split with the 95% interval. A line leads to the "
    "step that it was made from; a step made after going back starts a branch. Each step keeps "
    "which sentences it learnt from: those that chose its heads or fitted its weights. Heads "
    "chosen by hand here count as chosen by the calibration split, which the head maps are of. An "
    "open mark: some of these sentences measured it, too.",
    source="Wilson 1927 for the interval of each accuracy; the picture is our own",
    misleads="Choosing the best of many steps by the same sentences flatters it: its accuracy on "
    "new sentences is likely a little lower. Compare says how sure a difference is.",
)
PROPOSAL = HelpText(
    definition="The method looks at the model as it stands and at the calibration split alone, and "
    "names heads in the order in which they should go, each with its reason. A sentence that is in "
    "both splits is counted where it measures. Nothing is removed until you take it as a step; "
    "only then is it measured on the evaluation split. One within a drop of accuracy that was "
    "measured with compensation is taken with it, as two steps. A click on the map turns a head "
    "over: it stays, or it goes as well.",
    source="One registry of methods; each names its own",
    misleads="What is expected comes from the sentences that the method learnt from, so new ones "
    "may like it less. A reason says what the method saw, not that it is right.",
)
TARGET = HelpText(
    definition="How far the answers move when one attention or feed-forward part alone is narrowed "
    "and refitted is measured on calibration sentences; taken as adding up, it says which widths "
    "lose least for each share of the cost. So narrowed, each layer is refitted from the lowest "
    "up, on what the layers below feed it. KL is how far the answers then are from the unpruned "
    "model's, on average over the calibration sentences. FLOPs are those of a mean calibration "
    "sentence, parameters those of the whole model with its embeddings. A crossed-out head goes, "
    "and a feed-forward part is filled as far as it stays. Click a point to look at it; nothing "
    "is removed until you take it.",
    formula=r"\mathrm{KL}=\mathrm{mean}_b\sum_c p_b(c)\,\log\frac{p_b(c)}{q_b(c)}",
    source="Own; relatives are optimal brain surgeon (Hassibi 1993), optimal brain compression "
    "(Frantar, Alistarh 2022) and ZipLM (Kurtic et al. 2023)",
    misleads="KL on the sentences that it learnt from flatters, the more the fewer they are: what "
    "a model loses on others, the evaluation split says once it is measured. Parts narrowed "
    "together lose more, or less, than the sum of each alone.",
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
    misleads="A small error in every layer is no promise: the accuracy is measured on the "
    "evaluation split, in the next step. It is fitted for what is kept; a head or neurons "
    "restored afterwards have no part in the fitted weights.",
)
FINE_TUNING = HelpText(
    definition="The model without what is removed is trained on by gradient descent (AdamW), "
    "from the weights of the current step. Its loss mixes two: the cross-entropy of the labels, "
    "and how far its answers, softened by the temperature, are from those of the unpruned model. "
    "An eighth of the sentences, at most 1,024, is held out; the state with the lowest loss on "
    "them is kept.",
    formula=r"(1-\alpha)\,\mathrm{CE}(y,p)+\alpha\,\tau^2\,"
    r"\mathrm{KL}(p^{\mathrm{unpruned}}_\tau\,\|\,p_\tau)",
    source="Hinton, Vinyals, Dean 2015, Distilling the Knowledge in a Neural Network",
    misleads="Where the model was once trained on the same sentences, it knows the held-out ones "
    "by heart, so the start looks better than it is; the evaluation split, measured in the next "
    "step, does not. A few hundred sentences teach little: compensate first, and train on the "
    "command line with all that there is.",
)
CURVES = HelpText(
    definition="Of heads alone: each method orders them by what it learns on the calibration "
    "split, and every feed-forward neuron stays; each point is the model without the first of "
    "them, measured on the evaluation split. The band holds 5 to 95% of random orders, without "
    "compensation; its line is their median. The area is the mean accuracy over all numbers of "
    "heads: one number for the whole curve.",
    formula=r"A=\frac{1}{n}\int_0^{n}\mathrm{accuracy}(k)\,dk",
    source="Curves after Michel, Levy, Neubig 2019, figure 3; the trapezoid rule",
    misleads="A point has its own uncertainty, about as wide as the accuracy interval in the "
    "sidebar. The area also counts regions where nobody would ship, and the best of many methods "
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
MEASURES = HelpText(
    definition="All on the evaluation split; where a step learnt from some of its sentences, the "
    "others are counted by themselves as well. KL is how far a sentence's answer moved from the "
    "unpruned model's, on average, in nats; it sees a probability that falls without a flip. Lost: "
    "right before, wrong now. Parameters and FLOPs are those of the model with what is gone "
    "really removed.",
    source="Intervals of accuracy: Wilson 1927, of its change: Tango 1998, of losses and KL: "
    "Student's, of F1: after Jeffreys (Brown, Cai, DasGupta 2001). Test: McNemar 1947, exact; "
    "corrected for the number of steps, and of pairs, by Holm 1979",
    misleads="Loss also punishes being sure and wrong: between two labels, guessing costs 0.693, "
    "so a loss can fall while accuracy falls. Intervals of single accuracies overlap long before a "
    "paired difference is unclear: read the change and the pairs. Whoever tries many steps finds "
    "one that looks good by chance.",
)
FLIPS = HelpText(
    definition="A flip is a sentence that a step answers differently from the unpruned model. Each "
    "bar counts the sentences flipped by exactly the steps with a filled dot below it. Gained: "
    "wrong before, right under every step that flips it; other: neither.",
    source="Picture after Lex et al. 2014, UpSet: Visualization of Intersecting Sets",
    misleads="Steps of one branch share most of their heads, so they share flips for that reason "
    "alone.",
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
