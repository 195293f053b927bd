"""Families: what is known of each family of models, one file a family, one registry.

Outside of this folder nothing names one. It imports nothing of torch or of transformers.
"""

from __future__ import annotations

from bhpvas.model.families.albert import ALBERT
from bhpvas.model.families.base import Family
from bhpvas.model.families.bert import BERT
from bhpvas.model.families.deberta import DEBERTA_V2
from bhpvas.model.families.distilbert import DISTILBERT
from bhpvas.model.families.electra import ELECTRA
from bhpvas.model.families.modernbert import MODERNBERT
from bhpvas.model.families.mpnet import MPNET
from bhpvas.model.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA

#: Every family by the ``model_type`` of its configs.
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        BERT,
        ROBERTA,
        XLM_ROBERTA,
        CAMEMBERT,
        MPNET,
        ELECTRA,
        DISTILBERT,
        ALBERT,
        MODERNBERT,
        DEBERTA_V2,
    )
}
#: The way out where a model of these families is an unusual one.
ORDINARY = f"choose an ordinary {', '.join(FAMILIES)} classifier"
#: What is of a family that people have, too, and cannot be run, by the ``model_type``: why not, and
#: what can be done.
REFUSED = {
    "deberta": "keeps queries, keys and values of all heads in one matrix, head by head, which "
    "bhpvas does not take apart: fine-tune a DeBERTa-v3, its successor (model_type deberta-v2), on "
    "the same data",
}
