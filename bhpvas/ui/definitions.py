"""What each view shows, where that comes from, and when it misleads.

The criteria are defined in their registry; these are the views around them.
"""

from __future__ import annotations

from bhpvas.ui.widgets.help import HelpText

COMBINED = HelpText(
    definition="Each criterion ranks the kept heads from 1 (most worth keeping) to 0 (first to "
    "go); the combined priority is the weighted mean of these. The weights are the sliders; which "
    "way stability counts is the setting beside them.",
    formula=r"P(l,h)=\sum_c w_c\,\frac{n-\mathrm{rank}_c(l,h)}{n-1}\Big/\sum_c w_c",
    source="Own default, after the three criteria of BHPVAS (Journal of Visualization, 2024)",
    misleads="It knows ranks only, so a head that is far ahead counts no more than one that is "
    "just ahead. No setting of the weights is right: look at what its order costs.",
)
HEAD_MAP = HelpText(
    definition="One cell a head: layers upward from 0, the layer that reads the words first; heads "
    "left to right. Heads of one layer have no order, so neighbours in a row mean nothing. A "
    "crossed-out cell is a removed head, a framed one is selected.",
    source="Head numbering as in transformers, counted from zero",
    misleads="Colours are comparable within one map. After a removal every value is measured anew "
    "on the smaller model, so a head's colour can change.",
)
COST = HelpText(
    definition="The estimate follows from the gradients at the current mask alone: first and "
    "second order in the gates. Remove measures exactly, on the evaluation split.",
    formula=r"\Delta\mathrm{loss}\approx-d^\top\bar g+\tfrac12\,d^\top F d,\quad d=1-\mathrm{mask}",
    source="Second-order model with the empirical Fisher matrix (Kwon et al. 2022)",
    misleads="It is local: beyond about a third of the heads it says little. It is computed on the "
    "calibration split, so its accuracy differs a little from the exact one.",
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
ABLATION = HelpText(
    definition="The exact change of loss and accuracy when this head alone is removed from the "
    "current model, on the calibration split. It shows how far a criterion agrees with what really "
    "happens to single heads.",
    source="Michel, Levy, Neubig 2019, section 3",
    misleads="It is no oracle for removing many heads together: heads that do the same work each "
    "look useless alone. What judges a criterion is the accuracy curve of the order that it gives.",
)
TIMELINE = HelpText(
    definition="Each point is a measured step: accuracy on the evaluation split, with its 95% "
    "interval, against the number of heads kept. Steps run to the right as heads go; branches you "
    "left stay as dotted lines.",
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
TREE = HelpText(
    definition="A node is a step: heads removed or restored, or weights changed. Its number is how "
    "many heads it keeps, its height the accuracy on the evaluation split with the 95% interval. A "
    "line leads to the step that it was made from; a step made after going back starts a branch.",
    source="Wilson 1927 for the interval of each accuracy; the picture is our own",
    misleads="Choosing the best of many steps by the same sentences flatters it: its accuracy on "
    "new sentences is likely a little lower. Compare says how sure a difference is.",
)
PROPOSAL = HelpText(
    definition="The method looks at the model as it stands and at the calibration sentences, never "
    "at the evaluation split, and names heads in the order in which they should go, each with its "
    "reason. Nothing is removed until you take it as a step; only then is it measured on the "
    "evaluation split. A click on the map turns a head over: it stays, or it goes as well.",
    source="One registry of methods; each names its own",
    misleads="What is expected comes from the sentences that the method learnt from, so new ones "
    "will like it a little less. A reason says what the method saw, not that it is right.",
)
RECOVERY = HelpText(
    definition="The kept heads of each layer are fitted to say what the whole layer used to say, "
    "from the lowest layer up, on what the pruned network feeds them. The result is folded into "
    "the output projection (thorough: the second feed-forward matrix as well), so the model does "
    "not grow. The error is on calibration sentences that were held out of the fit: 0 is as the "
    "unpruned layer, 1 is no better than its mean.",
    formula=r"\min_{W,b}\ \sum_{t}\lVert y_t-Wz_t-b\rVert^2+\lambda\lVert W-W_0\rVert^2",
    source="Our own; relatives are Kwon et al. 2022 and optimal brain surgeon (Hassibi 1993)",
    misleads="A small error in every layer is no promise: the accuracy is measured on the "
    "evaluation split, in the next step. It is fitted for these heads; restoring one afterwards "
    "gives it no part in the fitted weights.",
)
FINE_TUNING = HelpText(
    definition="The model without the removed heads is trained on by gradient descent (AdamW), "
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
    definition="Each method orders the heads by what it learns on the calibration split; each "
    "point is the model without the first of them, measured on the evaluation split. The band "
    "holds 5 to 95% of random orders, without compensation; its line is their median. The area is "
    "the mean accuracy over all numbers of heads: one number for the whole curve.",
    formula=r"A=\frac{1}{n}\int_0^{n}\mathrm{accuracy}(k)\,dk",
    source="Curves after Michel, Levy, Neubig 2019, figure 3; the trapezoid rule",
    misleads="A point has its own uncertainty, about as wide as the accuracy interval in the "
    "sidebar. The area also counts regions where nobody would ship, and the best of many methods "
    "looks better than it is.",
)
STEP = HelpText(
    definition="What the current step did, and which heads it keeps: layers upward from 0, heads "
    "left to right. Coloured: the heads that this very step changed. A note stays with the step, "
    "in the file too. Deleting takes the later steps along; *Put back* returns them.",
    source="Own view",
    misleads="A step that only changed weights has the same heads as the one before it.",
)
KEPT = HelpText(
    definition="One map a step: layers upward from 0, heads left to right. Heads on which all "
    "chosen steps agree are pale; the others stand out.",
    source="Own view",
    misleads="Two steps may keep different heads and still answer alike: look at the flips.",
)
MEASURES = HelpText(
    definition="All on the evaluation split. KL is how far a sentence's answer moved from the "
    "unpruned model's, on average, in nats; it sees a probability that falls without a flip. Lost: "
    "right before, wrong now. Parameters and FLOPs are those of the model with its heads really "
    "removed.",
    source="Intervals of accuracy: Wilson 1927, of its change: Tango 1998, of losses and KL: "
    "Student's, of F1: after Jeffreys (Brown, Cai, DasGupta 2001). Test: McNemar 1947, exact; "
    "pairs are corrected by Holm 1979",
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
LATENCY = HelpText(
    definition="Seconds of one forward pass of the smaller model, on random tokens without "
    "padding. All models take turns in every round; the speed-up is the median of the ratios "
    "within a round. By FLOPs: what the arithmetic allows at this length.",
    source="Interval of a median by order statistics, for any distribution",
    misleads="It holds for this machine, this number of threads and this load. Short inputs and "
    "small batches are ruled by what does not shrink; a busy machine widens the interval.",
)
SHIFT = HelpText(
    definition="Heads that are kept now, ranked by a criterion in the unpruned model and measured "
    "anew in the current one. Both orders are of the same heads, so removing others moves nobody "
    "by itself. A rise means that a head took over, or that those above it fell. Beyond chance is "
    "one with p up to 0.05: p is corrected for all heads, so where nothing changed no head is "
    "named in 95% of cases.",
    source="Own view; test by exchanging the two models' values sentence by sentence, single-step "
    "minP (Westfall, Young 1993); intervals by drawing the sentences again for both (Efron 1979)",
    misleads="In the middle of the order heads lie close, and small changes move them many places. "
    "An interval is of one head alone: among many heads some exclude 0 by chance, so trust p.",
)
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
ARCS = HelpText(
    definition="Above the words: spaCy's dependency parse, an arc from each word to those that "
    "depend on it; the root and punctuation have none. Below: the attention of the shown heads, an "
    "arc from the unit that looks to a triangle at the one that is looked at, thicker for more "
    "weight. For words, attention is the sum over the pieces that are looked at and the mean over "
    "those that look. A relation is strong where the strongest attention among words follows it, "
    "from the dependent or from its head.",
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
ROLES = HelpText(
    definition="A role is a claim that beat its rival on the calibration split, by a sign test "
    "over sentences that is corrected for all heads tried. A head that has several is labelled by "
    "the first of the list. Most heads need not have any.",
    source="Clark et al. 2019; Voita et al. 2019, Analyzing Multi-Head Self-Attention",
    misleads="A head without a role may still matter, and one with a clear role may be idle: what "
    "a head looks at is not yet what it does. The roles are those of the unpruned model.",
)
RELATIONS = HelpText(
    definition="For each word that depends on another (its head, as grammar calls it: a word, not "
    "an attention head): is that other word the one that it attends to most (dependent to head), "
    "or the one that attends to it most (head to dependent)? Among words alone, no word itself. "
    "The rival always answers the word at the best fixed offset from the dependent; colour is the "
    "difference in points. A dot marks a role.",
    source="Clark et al. 2019, section 4.2, with the baseline of table 1",
    misleads="The best of many heads looks good by chance: trust the dots. Relations with few "
    "dependents are not judged, and the parser makes mistakes of its own.",
)
ROLE_CHANGES = HelpText(
    definition="Who carries each role in the unpruned model, and which of these heads the scheme "
    "keeps. Measured anew, roles that other heads have taken over, or lost, are seen as well.",
    source="Own view, after Voita et al. 2019, section 6",
    misleads="A role that nobody carries any more is no loss by itself: the accuracy says what it "
    "was worth. Where heads below are gone, those above see other words and can change.",
)
EXPORT = HelpText(
    definition="The model of the current step as files that work without this app: weights that a "
    "recovery changed are folded in, and the scheme, the tokenizer and a model card come along. "
    "Before you get them they are read back and run on the whole evaluation split: no logit may "
    "differ from the masked model's by more than 0.0001.",
    source="Own; int8 is the dynamic quantisation of ONNX Runtime",
    misleads="A smaller file is not yet a faster model: see the measured latency. The accuracy is "
    "that of this evaluation split; on other sentences it is another.",
)
SAVINGS = HelpText(
    definition="What removing the heads takes away: their rows of the query, key and value "
    "matrices and their columns of the output projection. The bound is the ratio of the FLOPs "
    "before and after at the chosen length: a machine that stays as busy as before gains no more, "
    "apart from noise.",
    formula=r"\mathrm{FLOPs}=\sum_l 8\,T D\,k_l d_h + 4\,T^2 k_l d_h + 4\,T D I",
    source="Counted as multiply-adds times two, embeddings and normalisation left out",
    misleads="A bound is no promise: short inputs and small batches often gain less. In BERT-base "
    "the heads hold 26% of the parameters: with half of them gone it can be about 1.2 times as "
    "fast, with all of them 1.5 to 1.67 times.",
)
REPORT = HelpText(
    definition="One HTML file: model, data, exact versions and command; what was removed, how and "
    "why; what it costs, with intervals; scores, curves beside random orders, and every answer "
    "that changed. Each figure saves as SVG and PNG, and its numbers as CSV. What these pages have "
    "measured already is used again; the rest is measured now, on the evaluation split.",
    source="Own; orders and recoveries learn from the calibration split alone",
    misleads="It says what holds on these sentences. Whoever tries many schemes and reports the "
    "best reports some luck.",
)
LEARN = HelpText(
    definition="Every view here is one of the app itself, on the open model and data: what you "
    "select or remove is selected or removed on every page. A step of the lesson or a tour is done "
    "when the session shows that you did it, here or elsewhere, and stays done if you undo that.",
    source="Own",
    misleads="Ten minutes on one small model show how such work goes, not what holds for models in "
    "general.",
)
