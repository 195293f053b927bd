"""Saliency: how much each token speaks for an answer, attributed by captum to its embedding.

What is attributed is what the model's task explains: the log-odds of a class, its logit less the
log-sum-exp of all others (with two classes the difference of the logits), a label's own logit where
there can be several, or the score. A token's value is the sum over its embedding, above 0 where it
speaks for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.layers import gates_of, logits_from
from bhpvas.model.pruning import narrowed

#: Points on the way from the baseline to the sentence. Sundararajan et al. 2017 find that 20 to 300
#: are enough; how far the sum is off is returned with the result.
STEPS = 64
_STEPS_AT_ONCE = 16


@dataclass(frozen=True)
class SaliencyMethod:
    """A way to attribute a decision to tokens, with all that a person needs to read it."""

    name: str
    title: str
    summary: str
    formula: str
    source: str
    misleads: str


#: Every method by name.
SALIENCIES: dict[str, SaliencyMethod] = {
    one.name: one
    for one in (
        SaliencyMethod(
            name="integrated-gradients",
            title="Integrated gradients",
            summary="The gradient, averaged on the straight way from a sentence of padding to this "
            "one, times the difference of the two. The values sum to the log-odds that the words "
            "add to the padding's.",
            formula=r"(x-x')\cdot\int_0^1\nabla f(x'+\alpha(x-x'))\,d\alpha",
            source="Sundararajan, Taly, Yan 2017, equation 1; computed by captum",
            misleads="It depends on the baseline: here [CLS] and [SEP] stay and every other token "
            "is [PAD] at the same place, which is itself a sentence that the model has an "
            "opinion on.",
        ),
        SaliencyMethod(
            name="gradient-input",
            title="Gradient × input",
            summary="The slope of the log-odds at this sentence, times the embedding.",
            formula=r"x\cdot\nabla f(x)",
            source="Shrikumar et al. 2016; computed by captum",
            misleads="It is local: where the model is sure, the slope is flat and every word looks "
            "unimportant.",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Saliency:
    """What each token adds to what the task explains of ``label``.

    ``values`` by method ``[T]``, above 0 = speaks for it; ``explained`` is that of the sentence,
    ``baseline`` that of the one of padding; ``gap`` is what the integrated gradients miss of their
    difference.
    """

    label: int
    values: dict[str, np.ndarray]
    explained: float
    baseline: float
    gap: float


def check_label(classifier: Classifier, label: int) -> None:
    """Raise :class:`~bhpvas.errors.BhpvasError` for a label that the model does not have."""
    if not 0 <= label < len(classifier.label_names):
        raise BhpvasError(
            f"The model has no class {label}: it has 0 to {len(classifier.label_names) - 1}."
        )


def saliency(
    classifier: Classifier,
    text: str,
    *,
    label: int,
    pair: str | None = None,
    mask: HeadMask | None = None,
    steps: int = STEPS,
) -> Saliency:
    """What each token of one sentence adds to what the task explains, by every method.

    - ``text``, ``pair``: the sentence and, where the model reads two, the second one.
    - ``label``: the class or output, counted from 0.
    - ``mask``: the heads that are kept, all if not given.
    - ``steps``: points on the way from the baseline to the sentence.

    Raises :class:`~bhpvas.errors.BhpvasError` for a label that the model does not have.
    """
    from captum.attr import InputXGradient, IntegratedGradients

    check_label(classifier, label)
    embedded, padding = _embedded(classifier, text, pair)  # [1, T, D] each
    gates, classifier = gates_of(classifier, mask), narrowed(classifier, mask)

    def decide(embedded: Tensor) -> Tensor:  # [B, T, D] → [B]
        logits = logits_from(classifier, embedded, None, gates).float()
        return classifier.task.explained(logits, label)

    integrated, gap = IntegratedGradients(decide).attribute(
        embedded,
        padding,
        n_steps=steps,
        internal_batch_size=_STEPS_AT_ONCE,
        return_convergence_delta=True,
    )
    slope = InputXGradient(decide).attribute(embedded.clone().requires_grad_(True))
    found = {"integrated-gradients": integrated, "gradient-input": slope}  # [1, T, D] each
    with torch.no_grad():
        ends = decide(torch.cat([embedded, padding]))
    return Saliency(
        label=label,
        values={name: one.detach()[0].sum(-1).float().cpu().numpy() for name, one in found.items()},
        explained=float(ends[0]),
        baseline=float(ends[1]),
        gap=float(gap[0]),
    )


def _embedded(classifier: Classifier, text: str, pair: str | None) -> tuple[Tensor, Tensor]:
    """The embedded sentence, and the same with every token but [CLS] and [SEP] as padding."""
    encoded = classifier.encode_texts([text], None if pair is None else [pair])
    tokenizer = classifier.tokenizer
    ids, types = encoded.input_ids(0), encoded.token_type_ids(0)
    kept = np.isin(ids, [tokenizer.cls_token_id, tokenizer.sep_token_id])
    padded = np.where(kept, ids, tokenizer.pad_token_id)

    def embed(tokens: np.ndarray) -> Tensor:
        # RoBERTa gives all padding one place, and its neighbours others: the sentence's own count.
        put = [torch.from_numpy(one[None]).to(classifier.device) for one in (tokens, types, ids)]
        with torch.no_grad():
            return classifier.embed(*put).detach()

    return embed(ids), embed(padded)
