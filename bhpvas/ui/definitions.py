"""What each view shows, where that comes from, and when it misleads.

The criteria are defined in their registry; these are the views around them.
"""

from __future__ import annotations

from bhpvas.ui.aid import Aid

COMBINED = Aid(
    definition="Each criterion ranks the kept heads from 1 (most worth keeping) to 0 (first to "
    "go); the combined priority is the weighted mean of these. The weights are the sliders; which "
    "way stability counts is the setting beside them.",
    formula=r"P(l,h)=\sum_c w_c\,\frac{n-\mathrm{rank}_c(l,h)}{n-1}\Big/\sum_c w_c",
    source="Own default, after the three criteria of BHPVAS (Journal of Visualization, 2024)",
    misleads="It knows ranks only, so a head that is far ahead counts no more than one that is "
    "just ahead. No setting of the weights is right: look at what its order costs.",
)
HEAD_MAP = Aid(
    definition="One cell a head: layers upward from 0, the layer that reads the words first; heads "
    "left to right. Heads of one layer have no order, so neighbours in a row mean nothing. A "
    "crossed-out cell is a removed head, a framed one is selected.",
    source="Head numbering as in transformers, counted from zero",
    misleads="Colours are comparable within one map. After a removal every value is measured anew "
    "on the smaller model, so a head's colour can change.",
)
COST = Aid(
    definition="The estimate follows from the gradients at the current mask alone: first and "
    "second order in the gates. Remove measures exactly, on the evaluation split.",
    formula=r"\Delta\mathrm{loss}\approx-d^\top\bar g+\tfrac12\,d^\top F d,\quad d=1-\mathrm{mask}",
    source="Second-order model with the empirical Fisher matrix (Kwon et al. 2022)",
    misleads="It is local: beyond about a third of the heads it says little. It is computed on the "
    "calibration split, so its accuracy differs a little from the exact one.",
)
PROFILE = Aid(
    definition="Where a head's attention goes on average: to [CLS], to [SEP], to the asking token "
    "itself, to its neighbours, to punctuation, or to the rest. A row sums to 100%.",
    source="Categories after Clark et al. 2019, What Does BERT Look At?",
    misleads="Attention to [SEP] often means that the head does nothing there; what a head looks "
    "at is not yet what it does.",
)
BY_CLASS = Aid(
    definition="The same importance, averaged over the sentences of each label alone. Dots far "
    "apart: the head matters for one class more than for the other.",
    source="Michel, Levy, Neubig 2019, per sentence; split by label here",
    misleads="A class on which the model is unsure has larger gradients everywhere, which moves "
    "all dots of that class to the right.",
)
SCATTER = Aid(
    definition="Two criteria against each other, one point a head. The rank correlation says how "
    "far they agree on the order in which heads should go: 1 is the same order, 0 is no relation.",
    source="Spearman 1904",
    misleads="A correlation over all heads says little about the few that would go first; look at "
    "that corner of the plot.",
)
ABLATION = Aid(
    definition="The exact change of loss and accuracy when this head alone is removed from the "
    "current model, on the calibration split. It shows how far a criterion agrees with what really "
    "happens to single heads.",
    source="Michel, Levy, Neubig 2019, section 3",
    misleads="It is no oracle for removing many heads together: heads that do the same work each "
    "look useless alone. What judges a criterion is the accuracy curve of the order that it gives.",
)
TIMELINE = Aid(
    definition="Each point is a measured step: accuracy on the evaluation split, with its 95% "
    "interval, against the number of heads kept. Steps run to the right as heads go; branches you "
    "left stay as dotted lines.",
    source="Wilson 1927 for the interval of each accuracy",
    misleads="The intervals are for each accuracy alone. Two steps share their sentences, so their "
    "difference is far more certain than the overlap suggests: its interval is in the sidebar.",
)
CHANGED = Aid(
    definition="Sentences whose prediction differs between the two models, with both predictions "
    "and the probability that each gives to its answer. Lost: right before, wrong now. Gained: the "
    "other way round.",
    source="McNemar 1947, exact, for whether lost and gained are as many by chance",
    misleads="With few changed sentences a large p-value means too little data, not no effect.",
)
