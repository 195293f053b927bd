"""Family of models: how its config calls its sizes, and where its models keep their parts.

Nothing here or in a family's own file imports torch: a config is read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Shapes of tensors by their names.
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layer:
    """The parts of one encoder layer; what is done with them stands in :mod:`bhpvas.model.layers`.

    The norms stand behind the attention and the feed-forward part, or, with ``pre_norm``, before
    them. With a ``gate`` the feed-forward part is gated: each of its neurons is the activation of a
    row of ``up`` times the answer of a row of ``gate``. ``positions`` is how the attention knows
    where tokens stand, if not from their embeddings, ``position_query`` and ``position_key`` are
    projections of its own for that.
    """

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    attention_norm: nn.Module
    up: nn.Linear
    activation: Callable[[Tensor], Tensor]
    down: nn.Linear
    feed_forward_norm: nn.Module
    gate: nn.Linear | None = None
    position_query: nn.Linear | None = None
    position_key: nn.Linear | None = None
    pre_norm: bool = False
    positions: Positions | None = None


class Positions(Protocol):
    """How the heads of a layer know where tokens stand, beyond what is in their embeddings."""

    def __call__(
        self, layer: Layer, query: Tensor, key: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Queries ``[B, H, Q, d_h]`` and keys ``[B, H, T, d_h]`` as they are multiplied, and what
        that is masked by or has added: bool or a number, broadcast to ``[B, H, Q, T]``, or None.

        Q is T, or 1 where the first token's query alone is asked for.
        """

    def of_heads(self, heads: Tensor) -> Positions:
        """The same for some heads alone, by their places ``[k]``."""


#: What a layer can lose: heads of its attention, or neurons of its feed-forward part.
What = Literal["heads", "neurons"]
#: Parts whose rows belong to those, so many each, and the part whose columns do.
ROWS: Mapping[What, tuple[str, ...]] = {
    "heads": ("query", "key", "value", "position_query", "position_key"),
    "neurons": ("up", "gate"),
}
COLUMNS: Mapping[What, str] = {"heads": "output", "neurons": "down"}


@dataclass(frozen=True)
class TokenizerClass:
    """A class of tokenizers of transformers: its ``name``, and the ``files`` that it is made of
    where there is no tokenizer.json. ``kind`` is what a tokenizer.json calls its way to cut words;
    ``padding``, ``first``, ``last``, ``unknown`` and ``mask`` are the tokens that it pads with,
    begins and ends with, gives for what it does not know and hides words by, where nothing else is
    said. ``maps_characters``: it replaces characters before it cuts words, as the SentencePiece
    model says that it is made of.
    """

    name: str
    files: tuple[str, ...]
    kind: str
    padding: str
    first: str
    last: str
    unknown: str
    mask: str
    maps_characters: bool = True


@dataclass(frozen=True)
class Family:
    """All that is known of one family of encoders.

    ``name`` is the ``model_type`` of its configs, ``title`` what people call it, ``model_class``
    what transformers calls its classifiers. ``modules`` says where a base model lists its encoder
    layers, ``parts`` where each of them keeps the parts of a :class:`Layer`, as dotted names; parts
    of one name share its rows, one after the other. ``pre_norm`` as in a layer, ``positions(model,
    number)`` are those of one, ``distances(config)`` how many kinds of scores they add, and of how
    many distances; ``work_keys`` are settings that decide how much work that is. ``order(config)``
    says of each layer, lowest first, which of the modules that is, where several may be the same.
    ``size_keys`` are what a config calls layers, heads, hidden and intermediate size.
    ``further_activations`` are settings that name one beside that of the layers.
    ``unsupported(config)`` says what of a config cannot be run, or nothing. ``base`` is what a
    classifier calls its base model, ``others`` the shapes of all its tensors that are in no
    embedding and no layer; ``tables`` those of its embeddings, where they are not three tables and
    a norm, and ``without(config, number)`` names tensors that a layer has not, such as biases.
    ``embedding_size``: token embeddings have a size of their own; ``more_keys`` are further numbers
    of a config that shapes depend on, ``zero_keys`` those that may be 0. ``unused`` are tensors of
    the base model that classifiers do without, ``pretraining`` the modules of its models for
    pretraining. ``tokenizer`` is the class of its tokenizers.

    ``classify(model, pooled)`` gives logits ``[B, C]`` from what stands for a sentence ``[B, D]``:
    the last hidden state of its first token or, where ``mean(config)``, the mean over its tokens;
    ``finish(model, states)`` is done to the states before. ``project(model, embedded)`` makes
    embeddings as wide as the hidden states. ``attention`` is what transformers is asked to run.
    ``asked``: transformers is always asked what it makes of a config, since more than numbers
    decides what a model is. ``keeping`` names a file beside the family's own, without .py, where an
    attention of fewer heads has to know which they are: its ``keep_heads(layer, heads)`` tells it,
    here and in the modelling file of exported models. ``pruned_key`` is what their configs call the
    heads that they lack: transformers 4 removes ``pruned_heads`` by itself, and has to be able to.
    ``places(model, tokens)`` numbers the places of tokens ``[B, T]``, where those depend on them.
    ``typed``: embeddings tell the two texts of a pair apart. ``after_padding``: positions are
    counted from the padding index + 1, so that many are never used; that index is the config's, or
    ``padding_index``.
    """

    name: str
    title: str
    model_class: str
    parts: Mapping[str, str]
    classify: Callable[[Any, Tensor], Tensor]
    base: str
    others: Callable[[Mapping[str, Any]], Shapes]
    pretraining: tuple[str, ...]
    tokenizer: TokenizerClass
    size_keys: tuple[str, str, str, str] = (
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_size",
        "intermediate_size",
    )
    unsupported: Callable[[Mapping[str, Any]], str] = lambda config: ""
    activation_key: str = "hidden_act"
    further_activations: tuple[str, ...] = ()
    embedding_size: bool = False
    more_keys: tuple[str, ...] = ()
    zero_keys: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    modules: str = "encoder.layer"
    order: Callable[[Mapping[str, Any]], Iterable[int]] | None = None
    project: Callable[[Any, Tensor], Tensor] = lambda model, embedded: embedded
    places: Callable[[Any, Tensor], Tensor] | None = None
    typed: bool = True
    after_padding: bool = False
    padding_index: int | None = None
    pre_norm: bool = False
    positions: Callable[[Any, int], Positions] | None = None
    distances: Callable[[Mapping[str, Any]], tuple[int, int]] = lambda config: (0, 0)
    work_keys: tuple[str, ...] = ()
    mean: Callable[[Any], bool] = lambda config: False
    finish: Callable[[Any, Tensor], Tensor] = lambda model, states: states
    tables: Callable[[Mapping[str, Any]], Shapes] | None = None
    without: Callable[[Mapping[str, Any], int], Collection[str]] = lambda config, number: ()
    keeping: str = ""
    pruned_key: str = "pruned_heads"
    attention: str = "sdpa"
    asked: bool = False

    @cached_property
    def modules_of_parts(self) -> dict[str, tuple[str, ...]]:
        """The parts that each module of a layer holds, by its dotted name."""
        found: dict[str, tuple[str, ...]] = {}
        for part, name in self.parts.items():
            found[name] = (*found.get(name, ()), part)
        return found

    @property
    def gated(self) -> bool:
        """Whether its feed-forward parts are gated."""
        return "gate" in self.parts

    def keep_heads(self, layer: nn.Module, heads: Sequence[int]) -> None:
        """Tell a layer whose projections are those of some heads which of all these are."""
        if self.keeping:
            import_module(f"{__package__}.{self.keeping}").keep_heads(layer, [*heads])

    def keeping_code(self) -> str:
        """The same as the code that says it, without its first lines on what it is."""
        text = Path(__file__).with_name(f"{self.keeping}.py").read_text(encoding="utf-8")
        return text.split('"""\n\n', 1)[1]

    def encoder_layers(self, model: Any) -> Iterable[nn.Module]:
        """The encoder layers of a model, lowest first."""
        modules = model.base_model.get_submodule(self.modules)
        if self.order is None:
            return modules
        return [modules[number] for number in self.order(vars(model.config))]

    def layers(self, model: Any) -> tuple[Layer, ...]:
        """The parts of a model's encoder layers, lowest first."""
        return tuple(
            Layer(
                **self._parts_of(module),
                pre_norm=self.pre_norm,
                positions=None if self.positions is None else self.positions(model, number),
            )
            for number, module in enumerate(self.encoder_layers(model))
        )

    def _parts_of(self, module: nn.Module) -> dict[str, Any]:
        from bhpvas.model.linear import pieces_of

        found: dict[str, Any] = {}
        for name, parts in self.modules_of_parts.items():
            whole = module_at(module, name)
            if whole is not None:
                pieces = [whole] if len(parts) == 1 else pieces_of(whole, len(parts))
                found |= zip(parts, pieces, strict=True)
        return found

    def logits(self, model: Any, states: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Logits ``[B, C]`` from the last hidden states ``[B, T, D]``; T may be 1 where the first
        token alone is read. ``attention_mask`` is ``[B, 1, 1, T]``, None where all are real.
        """
        return self.classify(model, self.pool(model, states, attention_mask))

    def pool(self, model: Any, states: Tensor, attention_mask: Tensor | None) -> Tensor:
        """What stands for each sentence, ``[B, D]``, as :meth:`logits` has it."""
        if not self.mean(model.config):
            return self.finish(model, states[:, 0])
        states = self.finish(model, states)
        if attention_mask is None:
            return states.mean(1)
        real = attention_mask[:, 0, 0, :, None].to(states.dtype)  # [B, T, 1]
        return (states * real).sum(1) / real.sum(1)

    def embed(
        self, model: Any, input_ids: Tensor, token_type_ids: Tensor, at: Tensor | None = None
    ) -> Tensor:
        """Embeddings of tokens ``[B, T]``: ``[B, T, D]``; at the places that tokens ``at`` have."""
        inputs = {"token_type_ids": token_type_ids} if self.typed else {}
        if at is not None and self.places is not None:
            inputs["position_ids"] = self.places(model, at)
        return self.project(model, model.base_model.embeddings(input_ids, **inputs))

    def sizes(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        """Layers, heads in each, hidden and intermediate size by a config."""
        return tuple(config[key] for key in self.size_keys)

    @property
    def number_keys(self) -> tuple[str, ...]:
        """Numbers of a config that decide the shapes of a classifier's tensors."""
        return (
            *self.size_keys,
            "vocab_size",
            "max_position_embeddings",
            *(("type_vocab_size",) if self.typed else ()),
            *(("embedding_size",) if self.embedding_size else ()),
            *self.more_keys,
        )

    def groups(self, config: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
        """The layers that each module is, lowest first: those of a group use the same weights."""
        order = range(self.sizes(config)[0]) if self.order is None else self.order(config)
        found: dict[int, tuple[int, ...]] = {}
        for layer, number in enumerate(order):
            found[number] = (*found.get(number, ()), layer)
        return tuple(found.values())

    def layer_modules(self, config: Mapping[str, Any]) -> list[str]:
        """Names of the modules that hold a layer's weights; layers that share them have one."""
        return [f"{self.base}.{self.modules}.{one}" for one in range(len(self.groups(config)))]

    def tensors(self, config: Mapping[str, Any]) -> Shapes:
        """The shape of every tensor of a classifier with all its heads, by a config that states all
        :attr:`number_keys` and an ``id2label``.
        """
        _, _, hidden, inner = self.sizes(config)
        found = self._tables(config) if self.tables is None else self.tables(config)
        rows = {"up": inner, "gate": inner}
        for number, module in enumerate(self.layer_modules(config)):
            without = self.without(config, number)
            for name, parts in self.modules_of_parts.items():
                tensors: Shapes = {}
                if parts[0].endswith("norm"):
                    tensors = norm(name, hidden)
                elif parts != ("activation",):
                    wide = inner if parts == ("down",) else hidden
                    tensors = linear(name, sum(rows.get(part, hidden) for part in parts), wide)
                found |= {
                    f"{module}.{key}": shape for key, shape in tensors.items() if key not in without
                }
        return found | self.others(config)

    def _tables(self, config: Mapping[str, Any]) -> Shapes:
        """The shapes of the embeddings: three tables, or two, and a norm."""
        wide = config["embedding_size"] if self.embedding_size else self.sizes(config)[2]
        rows = {"word": config["vocab_size"], "position": config["max_position_embeddings"]}
        if self.typed:
            rows["token_type"] = config["type_vocab_size"]
        place = f"{self.base}.embeddings"
        found: Shapes = {
            f"{place}.{table}_embeddings.weight": (many, wide) for table, many in rows.items()
        }
        return found | norm(f"{place}.LayerNorm", wide)


def module_at(layer: Any, name: str) -> Any:
    """A module of a layer by its dotted name; None where a layer of its config has none."""
    for one in name.split("."):
        layer = getattr(layer, one, None)
    return layer


def linear(name: str, rows: int, columns: int) -> Shapes:
    """The tensors of a linear layer."""
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def norm(name: str, size: int) -> Shapes:
    """The tensors of a layer norm."""
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
