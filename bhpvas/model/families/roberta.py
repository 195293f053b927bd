"""RoBERTa (Liu et al. 2019) and XLM-RoBERTa (Conneau et al. 2020), the same in many languages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family
from bhpvas.model.families.bert import PARTS

if TYPE_CHECKING:
    from torch import Tensor


def _embed_at(model: Any, input_ids: Tensor, token_type_ids: Tensor, at: Tensor) -> Tensor:
    """Places are counted without padding, which all has one place of its own."""
    embeddings = model.roberta.embeddings
    real = at.ne(embeddings.padding_idx).long()
    places = real.cumsum(1) * real + embeddings.padding_idx
    return embeddings(input_ids=input_ids, token_type_ids=token_type_ids, position_ids=places)


ROBERTA = Family(
    name="roberta",
    title="RoBERTa",
    parts=PARTS,
    classify=lambda model, first: model.classifier(first[:, None]),
    embed_at=_embed_at,
    after_padding=True,
)
XLM_ROBERTA = replace(ROBERTA, name="xlm-roberta", title="XLM-RoBERTa")
