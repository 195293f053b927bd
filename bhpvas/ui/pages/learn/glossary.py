"""The field's words and this app's; what a view or a criterion defines already is taken from it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from bhpvas.criteria import CRITERIA
from bhpvas.interpret.roles import ROLES
from bhpvas.recovery import RECOVERIES
from bhpvas.search import METHODS
from bhpvas.search.registry import TO_TARGET
from bhpvas.ui.pages.roles import texts as roles_texts
from bhpvas.ui.pages.samples import texts as samples_texts
from bhpvas.ui.pages.schemes import texts as schemes_texts
from bhpvas.ui.pages.sentence import texts as sentence_texts
from bhpvas.ui.pages.workbench import texts as workbench_texts
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import help
from bhpvas.ui.widgets.help import HelpText

_WORDS: Mapping[str, str | HelpText] = {
    "Ablation": help.ABLATION,
    "Accuracy": "The share of sentences that a model answers as they are labelled.",
    "Attention": "For each token, weights over all tokens of the sentence that sum to 1: how much "
    "of each it reads. Written A, a matrix of as many rows and columns as there are tokens.",
    "BERT": "A transformer encoder that reads a whole sentence at once, from left and right. Here "
    "with a classifier on top, which reads the state of [CLS] alone.",
    "Bootstrap": "The same statistic on many samples drawn anew from the same sentences; how much "
    "it varies says how sure it is.",
    "Calibration split": "The sentences that criteria, searches and recoveries may look at.",
    "CKA": "Centred kernel alignment: how alike two sets of vectors are, whatever their rotation "
    "and scale; 1 = the same. Here between the outputs of two heads, by the unbiased estimator, "
    "whose values scatter about 0 where two heads have nothing in common and can lie below it.",
    "[CLS], [SEP]": "Marks that the tokenizer puts before the sentence and after it. [CLS] gathers "
    "what the classifier reads; heads with nothing to do often rest on [SEP].",
    "Combined priority": help.COMBINED,
    "Compensation": schemes_texts.RECOVERY,
    "Confidence interval": "A range that holds the true value in about 95 of 100 repetitions. For "
    "an accuracy Wilson's, for a change on the same sentences Tango's; for a head's rank, the "
    "places that paired t tests leave open (the true one was among them in 95 to 100 of 100 "
    "trials).",
    "Contribution": sentence_texts.CONTRIBUTIONS,
    "Criterion": "A number for each head by which heads are put in order. Each has a direction: "
    "whether high values are worth keeping or first to go.",
    "Dependency": "A relation of grammar between two words: one depends on the other, as an object "
    "on its verb. Grammar calls the other word the head of the first; it is no attention head.",
    "Down projection": "The matrix W_D that mixes what the neurons of a layer put out.",
    "Estimate": workbench_texts.COST,
    "Evaluation split": "The sentences that measure. Criteria, searches and recoveries are given "
    "the calibration split alone, since what is measured on sentences learnt from flatters; one "
    "that is in both splits is counted where it measures.",
    "F1": "The harmonic mean of precision (how many of the answers with a label are right) and "
    "recall (how many of its sentences get it): of the second label where there are two, else the "
    "mean over the labels.",
    "Feed-forward part": workbench_texts.WIDTH,
    "Fine-tuning": "Training the pruned model further, with labels and gradients.",
    "Flip": "A sentence that two models answer differently. Lost: right before, wrong now; gained: "
    "the other way round.",
    "FLOPs": "Floating-point operations, here of one sentence: what the arithmetic costs, whatever "
    "the machine.",
    "Gate": "A factor on one head's output before it is mixed with the others: 1 is as trained, 0 "
    "is removed. Importance is the gradient at this factor.",
    "Gradient": "How fast the loss changes when something is changed a little.",
    "Head": "One of several attentions that work side by side in a layer. L3H7 is head 7 of layer "
    "3, both counted from 0.",
    "Holm": "A correction of p-values for how many tests were made: what looks rare among many is "
    "not.",
    "KL divergence": "How far one model's answers are from another's, in nats: 0 is the same.",
    "Layer": "One floor of the network: attention by its heads, then a feed-forward part.",
    "Logit": "The number that a classifier gives a label, before the numbers of all labels become "
    "probabilities.",
    "Log-odds": "The logarithm of p / (1 − p): probability on a scale without ends, on which "
    "effects can be compared.",
    "Loss": "How badly a model's probabilities fit the labels: minus the logarithm of the "
    "probability of the label, in nats. Guessing between two labels gives 0.693.",
    "Mask": "Which heads and neurons are kept, and which removed: one value for the whole model.",
    "McNemar": "A test of two models on the same sentences: whether answers lost and gained are as "
    "many as by chance. Sentences that both answer alike say nothing about it.",
    "Nat": "The unit of loss and KL divergence, from the natural logarithm. Where the loss of a "
    "sentence rises by 1 nat, the probability of its label falls to 37% of what it was.",
    "Neuron": "An activation of a feed-forward part: one row of its first matrix, the up "
    "projection, makes it, and one column of its second, the down projection, carries it on.",
    "Output projection": "The matrix W_O that mixes what the heads of a layer put out.",
    "Parameters": "The numbers that a model has learnt. Those of a head are its rows of the query, "
    "key and value matrices and its columns of the output projection, those of a neuron its row of "
    "the up projection and its column of the down projection.",
    "p-value": "How often chance alone would give something at least as extreme. Small: hardly "
    "chance. Large: too little to tell, which is not the same as no effect.",
    "Proposal": schemes_texts.PROPOSAL,
    "Pruning": "Removing parts of a trained model, here whole heads and feed-forward neurons, so "
    "that it becomes smaller.",
    "Random order": "Heads removed by lot, many times: what a criterion has to beat.",
    "Rank correlation": "Agreement of two orders: 1 the same, 0 none, −1 reversed (Spearman).",
    "Recovery": "Other weights for the model without the removed parts, which win accuracy back: "
    "by compensation or rescaling in seconds, or by fine-tuning.",
    "Role": roles_texts.ROLES,
    "Rollout": sentence_texts.ROLLOUT,
    "Saliency": "How much each token of a sentence speaks for or against an answer.",
    "Scheme": "A path of steps from the full model to a smaller one; schemes branch, so together "
    "they are a tree.",
    "Slice": samples_texts.SLICES,
    "Split": "A part of the data with a purpose of its own: see calibration and evaluation split.",
    "Step": "One change of the mask or of the weights, with what was measured after it.",
    "Token, word piece": "What the model reads: a word, or a part of a rare one.",
    "UMAP": samples_texts.SENTENCE_MAP,
    "Width": "How many neurons a layer's feed-forward part keeps. L3F is that of layer 3.",
}


def entries() -> dict[str, tuple[str, str | None]]:
    """Every word with its meaning and, where there is one, its source; in alphabetical order."""
    whole: dict[str, str | HelpText] = dict(_WORDS)
    whole |= {one.title: help.criterion_help(name) for name, one in CRITERIA.items()}
    whole |= {f"Role: {one.title}": help.role_help(name) for name, one in ROLES.items()}
    found: dict[str, tuple[str, str | None]] = {
        word: (said, None) if isinstance(said, str) else (said.definition, said.source)
        for word, said in whole.items()
    }
    for kind, registered in (
        ("Method", [*METHODS.values()]),
        ("Method to a target", [*TO_TARGET.values()]),
        ("Recovery", [*RECOVERIES.values()]),
    ):
        for one in registered:
            found[f"{kind}: {one.title}"] = one.summary, one.source.strip("—") or None
    return dict(sorted(found.items(), key=lambda one: one[0].strip("[").casefold()))


def matching(search: str) -> dict[str, tuple[str, str | None]]:
    """The entries with every word that is searched for, those that it names first."""
    asked = search.casefold().split()
    every = entries()
    named = [one for one in every if all(word in one.casefold() for word in asked)]
    told = [
        one
        for one, (said, _) in every.items()
        if one not in named and all(word in f"{one} {said}".casefold() for word in asked)
    ]
    return {one: every[one] for one in named + told}


def view(session: Session) -> None:
    """A search, and the words in two columns."""
    search = st.text_input(
        "Search the glossary",
        key="glossary-search",
        placeholder=f"Search {len(entries())} words",
        label_visibility="collapsed",
        width=320,
    )
    found = list(matching(search).items())
    if not found:
        st.caption("No entry has these words.")
        return
    half = (len(found) + 1) // 2
    for column, part in zip(st.columns(2, gap="large"), (found[:half], found[half:]), strict=True):
        with column:
            for word, (said, source) in part:
                st.markdown(f"**{_plain(word)}**  \n{_plain(said)}")
                if source:
                    st.caption(f"Source: {source}")


def _plain(said: str) -> str:
    """Text whose brackets are no link in Markdown."""
    return said.replace("[", r"\[").replace("]", r"\]")
