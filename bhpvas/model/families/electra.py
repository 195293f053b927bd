"""ELECTRA (Clark et al. 2020), whose embeddings may be smaller than its states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family, embedded
from bhpvas.model.families.bert import PARTS

if TYPE_CHECKING:
    from torch import Tensor


def _embed(model: Any, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
    found = embedded(model, input_ids, token_type_ids)
    if hasattr(model.electra, "embeddings_project"):
        found = model.electra.embeddings_project(found)
    return found


ELECTRA = Family(
    name="electra",
    title="ELECTRA",
    parts=PARTS,
    classify=lambda model, first: model.classifier(first[:, None]),
    embed=_embed,
)
