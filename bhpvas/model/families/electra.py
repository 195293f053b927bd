"""ELECTRA (Clark et al. 2020), whose embeddings may be smaller than its states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family
from bhpvas.model.families.bert import PARTS

if TYPE_CHECKING:
    from torch import Tensor


def _project(model: Any, embedded: Tensor) -> Tensor:
    smaller = hasattr(model.electra, "embeddings_project")
    return model.electra.embeddings_project(embedded) if smaller else embedded


ELECTRA = Family(
    name="electra",
    title="ELECTRA",
    parts=PARTS,
    classify=lambda model, first: model.classifier(first[:, None]),
    project=_project,
)
