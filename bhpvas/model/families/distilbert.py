"""DistilBERT (Sanh et al. 2019), with names of its own and no second part of a pair."""

from __future__ import annotations

from bhpvas.model.families.base import ConfigKeys, Family, PartNames

DISTILBERT = Family(
    name="distilbert",
    title="DistilBERT",
    keys=ConfigKeys("n_layers", "n_heads", "dim", "hidden_dim"),
    parts=PartNames(
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        output="attention.out_lin",
        attention_norm="sa_layer_norm",
        up="ffn.lin1",
        activation="ffn.activation",
        down="ffn.lin2",
        output_norm="output_layer_norm",
    ),
    modules=lambda model: model.distilbert.transformer.layer,
    embed=lambda model, input_ids, token_type_ids: model.distilbert.embeddings(input_ids),
    classify=lambda model, first: model.classifier(model.pre_classifier(first).relu()),
)
