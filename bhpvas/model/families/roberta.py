"""RoBERTa (Liu et al. 2019) and XLM-RoBERTa (Conneau et al. 2020), the same in many languages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family
from bhpvas.model.families.bert import PARTS

if TYPE_CHECKING:
    from torch import Tensor


def _places(model: Any, tokens: Tensor) -> Tensor:
    """Places are counted without padding, which all has one place of its own."""
    padding = model.roberta.embeddings.padding_idx
    real = tokens.ne(padding).long()
    return real.cumsum(1) * real + padding


ROBERTA = Family(
    name="roberta",
    title="RoBERTa",
    model_class="RobertaForSequenceClassification",
    parts=PARTS,
    classify=lambda model, first: model.classifier(first[:, None]),
    places=_places,
    after_padding=True,
)
XLM_ROBERTA = replace(
    ROBERTA,
    name="xlm-roberta",
    title="XLM-RoBERTa",
    model_class="XLMRobertaForSequenceClassification",
)
