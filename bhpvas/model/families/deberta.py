"""DeBERTa-v2 and v3 (He et al. 2021 and 2023): scores of content, and of distances beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family, Layer, Shapes, TokenizerClass, linear, norm
from bhpvas.model.families.bert import PARTS as BERT_PARTS

if TYPE_CHECKING:
    from torch import Tensor, nn

# No text is longer; nothing else in a model's files bounds what its config states.
_LONGEST = 2**16
#: Kinds of scores that distances add: of a query for a distance, of a distance for a key.
_KINDS = ("c2p", "p2c")


@dataclass(frozen=True, eq=False)
class Disentangled:
    """What a query says of a distance and a distance of a key, added to a layer's scores (He et al.
    2021, Eq. 4).

    ``kinds`` are those of the two that a score has beside its content. ``table`` has a vector for
    each distance that is told apart, ``[R, D]`` before ``norm``; None where scores have no
    distances. ``rows`` says which row of it is that of a distance, ``[2M + 1]`` for -M … M; what is
    farther apart than M is as far as M.
    """

    kinds: tuple[str, ...]
    table: nn.Embedding | None
    norm: nn.Module | None
    rows: Tensor

    @cached_property
    def _numbers(self) -> list[int]:
        return self.rows.tolist()

    def __call__(
        self, layer: Layer, query: Tensor, key: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Queries by which all kinds together have the scale of one, keys, and the scores of
        distances, ``[B, H, Q, T]``.
        """
        import torch

        scale = (1 + len(self.kinds)) ** -0.5
        if self.table is None or not self.kinds:
            return query * scale, key, None
        asked, length, size = query.shape[2], key.shape[2], key.shape[3]
        farthest = len(self.rows) // 2
        places = torch.arange(length, device=key.device)
        distances = places[:asked, None] - places  # [Q, T]
        vectors, needed = self.table.weight, None
        if torch.compiler.is_exporting():
            # For any length, of which nothing may depend on this one's: all are projected, which is
            # done once and for all where weights are constants, and each distance has its own.
            needed = torch.arange(1 - length, asked).clamp(-farthest, farthest)
            needed, rows = self.rows[needed + farthest], distances + length - 1
        else:
            # They do not grow with the distance where a config has more buckets than distances.
            within = self._numbers[max(farthest - length + 1, 0) : farthest + asked]
            first, last = min(within), max(within)
            rows = self.rows[distances.clamp(-farthest, farthest) + farthest] - first
            vectors = vectors[first : last + 1]
        if self.norm is not None:
            vectors = self.norm(vectors)

        def heads_of(projection: nn.Module) -> Tensor:
            projected: Tensor = projection(vectors)
            if needed is not None:
                projected = projected[needed]
            return projected.view(projected.shape[0], -1, size).permute(1, 2, 0)  # [H, d_h, R]

        wide = (*query.shape[:2], -1, -1)
        added: Any = 0
        if "c2p" in self.kinds:
            scores = query @ heads_of(layer.position_key or layer.key)  # [B, H, Q, R]
            added = scores.gather(3, rows.expand(wide))
        if "p2c" in self.kinds:
            scores = key @ heads_of(layer.position_query or layer.query)  # [B, H, T, R]
            scores = scores.gather(3, rows.T.expand(wide)).transpose(2, 3)
            added = added + scores
        return query * scale, key, added * (scale * size**-0.5)

    def of_heads(self, heads: Tensor) -> Disentangled:
        """The same, since what belongs to a head are rows of its layer's projections."""
        return self


def _kinds(config: Mapping[str, Any]) -> tuple[str, ...]:
    stated = config.get("pos_att_type") or ()
    if isinstance(stated, str):
        stated = [one.strip() for one in stated.lower().split("|")]
    return tuple(kind for kind in _KINDS if kind in stated)


def _reach(config: Mapping[str, Any]) -> tuple[int, int]:
    """The farthest distance that is told apart, and in how many steps each way."""
    farthest: int = config.get("max_relative_positions", -1)
    if farthest < 1:
        farthest = config["max_position_embeddings"]
    buckets: int = config.get("position_buckets", -1)
    return farthest, buckets if buckets > 0 else farthest


def _rows(farthest: int, steps: int, buckets: bool, longest: int) -> Tensor:
    """The row of each distance -M … M, of ``2 · steps``; M is ``longest``.

    In buckets, those below half the steps are told apart exactly, those beyond by their logarithm.
    """
    import torch

    distances = torch.arange(-longest, longest + 1)
    rows = distances
    if buckets:
        # In the numbers and the order of transformers, since what is rounded up may be whole.
        near = steps // 2
        beyond = distances.abs().clamp(min=max(near - 1, 1))
        ratio = torch.log(beyond / near) / torch.log(torch.tensor((farthest - 1) / near))
        far = torch.ceil(ratio * (near - 1)) + near
        rows = torch.where(distances.abs() <= near, distances, far * distances.sign()).long()
    return (rows + steps).clamp(0, 2 * steps - 1)


def _positions(model: Any, number: int) -> Disentangled:
    config, encoder = model.config.to_dict(), model.base_model.encoder
    farthest, steps = _reach(config)
    longest: int = config["max_position_embeddings"]
    rows = _rows(farthest, steps, config.get("position_buckets", -1) > 0, longest)
    return Disentangled(
        kinds=_kinds(config),
        table=encoder.rel_embeddings if config.get("relative_attention", False) else None,
        norm=getattr(encoder, "LayerNorm", None),
        rows=rows.to(model.device),
    )


def _without(config: Mapping[str, Any], number: int) -> Collection[str]:
    """Distances have projections of their own where they do not share those of the content."""
    own = config.get("relative_attention", False) and not config.get("share_att_key", False)
    kinds = _kinds(config) if own else ()
    names = {"c2p": PARTS["position_key"], "p2c": PARTS["position_query"]}
    return {
        f"{name}.{one}"
        for kind, name in names.items()
        if kind not in kinds
        for one in ("weight", "bias")
    }


def _tables(config: Mapping[str, Any]) -> Shapes:
    hidden = config["hidden_size"]
    wide = config.get("embedding_size", hidden)
    place = "deberta.embeddings"
    found: Shapes = {f"{place}.word_embeddings.weight": (config["vocab_size"], wide)}
    if config.get("position_biased_input", True):
        found[f"{place}.position_embeddings.weight"] = (config["max_position_embeddings"], wide)
    if config["type_vocab_size"]:
        found[f"{place}.token_type_embeddings.weight"] = (config["type_vocab_size"], wide)
    if wide != hidden:
        found[f"{place}.embed_proj.weight"] = (hidden, wide)
    found |= norm(f"{place}.LayerNorm", hidden)
    if config.get("relative_attention", False):
        steps = _reach(config)[1]
        found["deberta.encoder.rel_embeddings.weight"] = (2 * steps, hidden)
    if _is_normed(config):
        found |= norm("deberta.encoder.LayerNorm", hidden)
    return found


def _is_normed(config: Mapping[str, Any]) -> bool:
    stated = str(config.get("norm_rel_ebd", "none")).lower().split("|")
    return "layer_norm" in [one.strip() for one in stated]


def _distances(config: Mapping[str, Any]) -> tuple[int, int]:
    kinds = _kinds(config) if config.get("relative_attention", False) else ()
    return len(kinds), 2 * _reach(config)[1] if kinds else 0


def _unsupported(config: Mapping[str, Any]) -> str:
    kernel = config.get("conv_kernel_size", 0)
    if not isinstance(kernel, int) or kernel > 0:
        return "has a convolution over neighbouring tokens (conv_kernel_size)"
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    pooled = config.get("pooler_hidden_size", hidden)
    if pooled != hidden:
        return f"has {pooled} pooled numbers (pooler_hidden_size) and {hidden} hidden ones"
    if isinstance(hidden, int) and isinstance(heads, int) and heads > 0:
        size = hidden // heads
        if config.get("attention_head_size", size) != size:
            return "has an attention_head_size that is not its hidden_size divided by its heads"
    longest = config.get("max_position_embeddings")
    if isinstance(longest, int) and longest > _LONGEST:
        return f"has {longest:,} places (max_position_embeddings)"
    if longest == 1:
        return "has one place (max_position_embeddings) for a text's first and last token"
    for key in ("max_relative_positions", "position_buckets"):
        if type(config.get(key, -1)) is not int:
            return f"has a {key} that is no whole number"
    if config.get("relative_attention", False) and config.get("position_buckets", -1) == 1:
        return "has a single bucket of distances (position_buckets), which transformers halves"
    if not isinstance(config.get("cls_dropout"), int | float | None):
        return "has a cls_dropout that is no number"
    return ""


PARTS = BERT_PARTS | {
    "query": "attention.self.query_proj",
    "key": "attention.self.key_proj",
    "value": "attention.self.value_proj",
    "position_query": "attention.self.pos_query_proj",
    "position_key": "attention.self.pos_key_proj",
}
DEBERTA_V2 = Family(
    name="deberta-v2",
    title="DeBERTa",
    model_class="DebertaV2ForSequenceClassification",
    parts=PARTS,
    base="deberta",
    tables=_tables,
    without=_without,
    others=lambda config: (
        linear("pooler.dense", config["hidden_size"], config["hidden_size"])
        | linear("classifier", len(config["id2label"]), config["hidden_size"])
    ),
    pretraining=("cls", "lm_predictions", "mask_predictions"),
    unused=("deberta.embeddings.position_embeddings.weight",),
    tokenizer=TokenizerClass(
        "DebertaV2Tokenizer",
        ("spm.model",),
        "Unigram",
        "[PAD]",
        "[CLS]",
        "[SEP]",
        "[UNK]",
        "[MASK]",
        maps_characters=False,  # in transformers 5, which takes the map as an argument and drops it
    ),
    zero_keys=("type_vocab_size",),
    further_activations=("pooler_hidden_act",),
    asked=True,
    positions=_positions,
    distances=_distances,
    work_keys=(
        "relative_attention",
        "pos_att_type",
        "position_buckets",
        "max_relative_positions",
        "share_att_key",
    ),
    keeping="deberta_heads",
    pruned_key="removed_heads",
    attention="eager",
    classify=lambda model, first: model.classifier(model.pooler(first[:, None])),
    unsupported=_unsupported,
)
