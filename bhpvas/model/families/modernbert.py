"""ModernBERT (Warner et al. 2024): norms before, rotary positions, windows, gated neurons."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family, Layer, Shapes, TokenizerClass, linear, norm

if TYPE_CHECKING:
    from torch import Tensor

# Ways to stretch rotary positions in which they depend on how long a text is.
_DYNAMIC = ("dynamic", "longrope")


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotary positions (Su et al. 2021), with tokens farther apart than ``window`` masked.

    ``frequencies`` are ``[d_h / 2]``, ``scaling`` is a factor on queries and keys.
    """

    frequencies: Tensor
    scaling: float
    window: int | None

    def __call__(
        self, layer: Layer, query: Tensor, key: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Queries and keys turned by their places, and which are near enough: bool ``[Q, T]``."""
        import torch

        places = torch.arange(key.shape[2], device=key.device)
        angles = places[:, None].float() * self.frequencies.float()
        angles = torch.cat((angles, angles), -1)  # [T, d_h]
        cosines, sines = (
            (one * self.scaling).to(key.dtype).float() for one in (angles.cos(), angles.sin())
        )

        def turned(vectors: Tensor) -> Tensor:
            length = vectors.shape[2]
            whole = vectors.float()
            first, second = whole.chunk(2, -1)
            across = torch.cat((-second, first), -1)
            return (whole * cosines[:length] + across * sines[:length]).to(vectors.dtype)

        near = None
        # While a graph is written for any length, nothing may depend on this one's.
        if self.window is not None and (
            torch.compiler.is_exporting() or key.shape[2] > self.window + 1
        ):
            near = (places[: query.shape[2], None] - places).abs() <= self.window
        return turned(query), turned(key), near

    def of_heads(self, heads: Tensor) -> Rotary:
        """The same, since all heads of a layer are turned alike."""
        return self


def _positions(model: Any, number: int) -> Rotary:
    kind, rotary = model.config.layer_types[number], model.model.rotary_emb
    return Rotary(
        frequencies=getattr(rotary, f"{kind}_inv_freq"),
        scaling=getattr(rotary, f"{kind}_attention_scaling"),
        window=model.config.sliding_window if kind == "sliding_attention" else None,
    )


def _without(config: Mapping[str, Any], number: int) -> Collection[str]:
    """Most biases are optional, and the first layer has no norm before its attention."""
    optional = {
        "attention_bias": ("attn.Wqkv.bias", "attn.Wo.bias"),
        "mlp_bias": ("mlp.Wi.bias", "mlp.Wo.bias"),
        "norm_bias": ("attn_norm.bias", "mlp_norm.bias"),
    }
    names = {name for key, ones in optional.items() if not config.get(key, False) for name in ones}
    return names | ({"attn_norm.weight", "attn_norm.bias"} if number == 0 else set())


def _norm(config: Mapping[str, Any], name: str) -> Shapes:
    found = norm(name, config["hidden_size"])
    return found if config.get("norm_bias", False) else {f"{name}.weight": found[f"{name}.weight"]}


def _others(config: Mapping[str, Any]) -> Shapes:
    hidden = config["hidden_size"]
    dense = linear("head.dense", hidden, hidden)
    if not config.get("classifier_bias", False):
        del dense["head.dense.bias"]
    return (
        _norm(config, "model.final_norm")
        | dense
        | _norm(config, "head.norm")
        | linear("classifier", len(config["id2label"]), hidden)
    )


def _unsupported(config: Mapping[str, Any]) -> str:
    window, kinds = config.get("local_attention", 128), config.get("layer_types")
    if type(window) is not int or window < 0:
        return f"has a local_attention of {window!r:.20}"
    if kinds is not None and not (
        isinstance(kinds, list)
        and len(kinds) == config.get("num_hidden_layers", 22)
        and set(kinds) <= {"full_attention", "sliding_attention"}
    ):
        return f"has layers of the types {kinds!r:.40}"
    scaling = config.get("rope_scaling") or {}
    stated = config.get("rope_parameters") or {}
    if not (isinstance(scaling, dict) and isinstance(stated, dict)):
        return "has rotary positions of no known kind"
    both = (scaling, *stated.values())
    named = [one.get("rope_type") for one in both if isinstance(one, dict)]
    return next((f"has {kind} rotary positions" for kind in named if kind in _DYNAMIC), "")


MODERNBERT = Family(
    name="modernbert",
    title="ModernBERT",
    model_class="ModernBertForSequenceClassification",
    parts={
        "query": "attn.Wqkv",
        "key": "attn.Wqkv",
        "value": "attn.Wqkv",
        "output": "attn.Wo",
        "attention_norm": "attn_norm",
        "up": "mlp.Wi",
        "gate": "mlp.Wi",
        "activation": "mlp.act",
        "down": "mlp.Wo",
        "feed_forward_norm": "mlp_norm",
    },
    modules="layers",
    base="model",
    others=_others,
    tables=lambda config: (
        {"model.embeddings.tok_embeddings.weight": (config["vocab_size"], config["hidden_size"])}
        | _norm(config, "model.embeddings.norm")
    ),
    without=_without,
    pretraining=("decoder",),
    tokenizer=TokenizerClass(
        "TokenizersBackend", (), "BPE", "[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"
    ),
    activation_key="hidden_activation",
    typed=False,
    pre_norm=True,
    positions=_positions,
    mean=lambda config: config.classifier_pooling == "mean",
    finish=lambda model, states: model.model.final_norm(states),
    classify=lambda model, pooled: model.classifier(model.head(pooled)),
    unsupported=_unsupported,
    asked=True,
    keeping="modernbert_heads",
    pruned_key="removed_heads",
)
