"""Sequence classifiers without the heads and neurons that their config names. Written by bhpvas.

``pruned_heads`` maps a layer to the heads that it lacks, counting layers by their weights: several
of the model may have the same. transformers 4 removes them by itself; from version 5 on that is
done here, as in all versions where it is ``removed_heads``, which names those of models that
transformers 4 cannot remove them from. ``constant_attention`` lists layers without any head: all
that such an attention adds is the bias of its output. transformers 4 cannot run a layer without
heads, so the weight file holds one for it whose weights are all zero; here it is left out.

``feed_forward_sizes``, where the config has it, says of each layer how many feed-forward neurons it
has, which no version of transformers knows of; ``pruned_neurons`` says which it lacks.
"""

from typing import Any

import torch
import transformers
from torch import Tensor, nn


class Constant(nn.Module):
    """The same vector for every token, in place of an output projection without input.

    Of a projection that has no bias it is zero.
    """

    def __init__(self, size: int, bias: bool) -> None:
        super().__init__()
        if bias:
            self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, hidden_states: Tensor) -> Tensor:
        if not self._parameters:
            return torch.zeros_like(hidden_states)
        return self.bias.expand(hidden_states.shape)


class NoHeads(nn.Module):
    """In place of an attention's heads, of its output projection where they hold it, and of the
    norm behind that where they hold it, too.
    """

    def __init__(self, attention: Any = None, output: str = "", norm: str = "") -> None:
        super().__init__()
        self.output, self.norm = output, norm
        if output:
            whole = attention.get_submodule(output)
            self.add_module(output, Constant(whole.out_features, whole.bias is not None))
        if norm:
            self.add_module(norm, attention.get_submodule(norm))

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        said = hidden_states
        if self.output:
            said = self.get_submodule(self.output)(said)
        if self.norm:
            said = self.get_submodule(self.norm)(hidden_states + said)
        return said, None


def put(layer: Any, name: str, part: nn.Module) -> None:
    """Replace a part of a layer by its dotted name."""
    holder, _, last = name.rpartition(".")
    setattr(layer.get_submodule(holder), last, part)


class Pruned:
    """Gives a model's layers the sizes that its config states, before weights are loaded.

    A class for each family says where its layers are listed, what their parts are called, and how
    many rows for each unit of a head, or for each neuron, a part has. ``HEADS`` is what its configs
    call the heads that are missing; ``keep_heads`` tells a layer which are left, where its
    attention has to know.
    """

    HEADS: str
    LAYERS: str
    PROJECTIONS: dict[str, int]
    OUTPUT: str
    NORM: str
    NEURONS: dict[str, int]
    DOWN: str
    keep_heads: Any = None
    base_model: Any
    _keys_to_ignore_on_load_unexpected: Any

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        layers = self.base_model.get_submodule(self.LAYERS)
        size, heads = config.hidden_size, config.num_attention_heads

        def resize(number: Any, name: str, inputs: int, outputs: int) -> None:
            layer = layers[int(number)]
            if name in dict(layer.named_modules()):  # some parts stand in some configs alone
                biased = layer.get_submodule(name).bias is not None
                put(layer, name, nn.Linear(inputs, outputs, bias=biased))

        for number, width in enumerate(getattr(config, "feed_forward_sizes", ())):
            for name, rows in self.NEURONS.items():
                resize(number, name, size, rows * width)
            resize(number, self.DOWN, width, size)
        by_itself = hasattr(transformers.PreTrainedModel, "prune_heads")
        if by_itself and self.HEADS == "pruned_heads":
            return
        holder, attention = (
            name.rpartition(".") for name in (self.OUTPUT, next(iter(self.PROJECTIONS)))
        )
        parts = "|".join([*self.PROJECTIONS, f"{self.OUTPUT}.weight"])
        left_out = set(self._keys_to_ignore_on_load_unexpected or ())
        for number in config.constant_attention:
            whole = layers[number].get_submodule(self.OUTPUT)
            if holder[0] == attention[0]:
                held = self.NORM.startswith(f"{holder[0]}.")
                norm = self.NORM.rpartition(".")[2] if held else ""
                module = layers[number].get_submodule(holder[0])
                put(layers[number], attention[0], NoHeads(module, holder[2], norm))
            else:
                put(layers[number], attention[0], NoHeads())
                put(layers[number], self.OUTPUT, Constant(size, whole.bias is not None))
            left_out.add(rf"{self.LAYERS}\.{number}\.({parts})")
        self._keys_to_ignore_on_load_unexpected = [*left_out] if by_itself else left_out
        for number, removed in getattr(config, self.HEADS).items():
            if int(number) in config.constant_attention:
                continue
            left = [head for head in range(heads) if head not in removed]
            kept = size // heads * len(left)
            for name, rows in self.PROJECTIONS.items():
                resize(number, name, size, rows * kept)
            resize(number, self.OUTPUT, kept, size)
            if self.keep_heads is not None:
                self.keep_heads(layers[int(number)], left)
