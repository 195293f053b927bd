"""ELECTRA (Clark et al. 2020), whose embeddings may be smaller than its states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bhpvas.model.families.base import Family, Shapes, linear
from bhpvas.model.families.bert import PARTS, WORD_PIECES
from bhpvas.model.families.roberta import two_layer_head


def _others(config: Mapping[str, Any]) -> Shapes:
    wide, hidden = config["embedding_size"], config["hidden_size"]
    project = {} if wide == hidden else linear("electra.embeddings_project", hidden, wide)
    return project | two_layer_head(config)


ELECTRA = Family(
    name="electra",
    title="ELECTRA",
    model_class="ElectraForSequenceClassification",
    parts=PARTS,
    classify=lambda model, first: model.classifier(first[:, None]),
    base="electra",
    pretraining=("discriminator_predictions", "generator_predictions", "generator_lm_head"),
    tokenizer=replace(WORD_PIECES, name="ElectraTokenizer"),
    others=_others,
    embedding_size=True,
    project=lambda model, embedded: (
        model.electra.embeddings_project(embedded)
        if hasattr(model.electra, "embeddings_project")
        else embedded
    ),
)
