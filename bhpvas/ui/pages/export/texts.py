"""Definitions of the views of Export: what each shows, its source, and when it misleads."""

from __future__ import annotations

from bhpvas.ui.widgets.help import HelpText

LATENCY = HelpText(
    definition="Seconds of one forward pass of the smaller model, on random tokens without "
    "padding. All models take turns in every round; the speed-up is the median of the ratios "
    "within a round. By FLOPs: what the arithmetic allows at this length.",
    source="Interval of a median by order statistics, for any distribution",
    misleads="It holds for this machine, this number of threads and this load. Short inputs and "
    "small batches are ruled by what does not shrink; a busy machine widens the interval.",
)
EXPORT = HelpText(
    definition="The model of the current step as files that work without this app: weights that a "
    "recovery changed are folded in, and the scheme, the tokenizer and a model card come along. "
    "Before you get them they are read back and run on the whole evaluation split: no logit may "
    "differ from the masked model's by more than 0.0001.",
    source="Own; int8 is the dynamic quantisation of ONNX Runtime",
    misleads="A smaller file is not yet a faster model: see the measured latency. What it "
    "scores is of this evaluation split; on other sentences it is another.",
)
SAVINGS = HelpText(
    definition="What removal takes away: of heads their rows of the query, key and value matrices "
    "and their columns of the output projection, of feed-forward neurons their row of the up and "
    "their column of the down projection. The bound is the ratio of the FLOPs "
    "before and after at the chosen length: a machine that stays as busy as before gains no more, "
    "apart from noise.",
    formula=r"\mathrm{FLOPs}=\sum_l 8\,T D\,k_l d_h + 4\,T^2 k_l d_h + 4\,T D\,n_l",
    source="Counted as multiply-adds times two, embeddings and normalisation left out",
    misleads="A bound is no promise: short inputs and small batches often gain less. What heads "
    "alone can bring is small: in BERT-base they hold 26% of the parameters, so with half of them "
    "gone it can be about 1.2 times as fast, with all of them 1.5 to 1.67 times. The feed-forward "
    "parts hold most of the rest.",
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
