"""ELECTRA (Clark et al. 2020), whose embeddings may be smaller than its states."""

from __future__ import annotations

from bhpvas.model.families.base import Family
from bhpvas.model.families.bert import PARTS

ELECTRA = Family(
    name="electra",
    title="ELECTRA",
    model_class="ElectraForSequenceClassification",
    parts=PARTS,
    classify=lambda model, first: model.classifier(first[:, None]),
    project=lambda model, embedded: (
        model.electra.embeddings_project(embedded)
        if hasattr(model.electra, "embeddings_project")
        else embedded
    ),
)
