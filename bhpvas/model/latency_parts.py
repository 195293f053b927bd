"""Parts of a layer to be timed by themselves: attention and feed-forward parts of some width."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.heads import HeadId
from bhpvas.model import onnx_graph
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import Layer
from bhpvas.model.layers import attend
from bhpvas.model.loading import quiet
from bhpvas.model.pruning import prune_layer
from bhpvas.model.runtimes import Pass, Timing
from bhpvas.neurons import NeuronSet
from bhpvas.stats import SEED

What = Literal["heads", "neurons"]


class Part(NamedTuple):
    """The attention, made of heads, or the feed-forward part, made of neurons, of the first layer
    or the last; with add & norm, which is all that is left of it without any.
    """

    what: What
    units: int
    last: bool


def passes_of_parts(classifier: Classifier, parts: Sequence[Part], timing: Timing) -> list[Pass]:
    """A pass of each part alone over random states, on an engine."""
    size = (timing.batch, timing.length, classifier.geometry.hidden_size)
    states = torch.randn(size, generator=torch.Generator().manual_seed(SEED))
    if timing.engine == "torch":
        states = states.to(classifier.device, classifier.dtype)
        return [_module_pass(classifier, part, states) for part in parts]
    with quiet(), tempfile.TemporaryDirectory() as folder:
        graphs = _Graphs(classifier)
        path = Path(folder) / "part.onnx"
        return [graphs.pass_of(part, states, timing.engine == "onnx-int8", path) for part in parts]


def first_neurons(classifier: Classifier, count: int) -> NeuronSet:
    """All neurons of every layer but its first ones."""
    layers, width = classifier.geometry.layers, classifier.geometry.intermediate_size
    return NeuronSet.of_layers(layers, width, dict.fromkeys(range(layers), range(count, width)))


def _layer(classifier: Classifier, part: Part) -> Layer:
    """The layer of a part, no wider than it."""
    number, mask = classifier.geometry.layers - 1 if part.last else 0, classifier.full_mask()
    if part.what == "heads":
        gone = range(part.units, classifier.geometry.heads)
        return prune_layer(classifier, number, mask.without(HeadId(number, one) for one in gone))
    mask = mask.without_neurons(first_neurons(classifier, part.units))
    return prune_layer(classifier, number, mask)


def _attention(
    classifier: Classifier, layer: Layer, states: Tensor, real: Tensor | None, first_only: bool
) -> Tensor:
    outputs, _ = attend(classifier, layer, states, real, first_only=first_only)
    return layer.attention_norm(layer.output(outputs.flatten(2)) + states[:, : outputs.shape[1]])


def _feed_forward(layer: Layer, states: Tensor) -> Tensor:
    return layer.output_norm(layer.down(layer.activation(layer.up(states))) + states)


def _module_pass(classifier: Classifier, part: Part, states: Tensor) -> Pass:
    layer = _layer(classifier, part)

    def run() -> object:
        with torch.inference_mode():
            if part.what == "heads":
                made = _attention(classifier, layer, states, None, False)
            else:
                made = _feed_forward(layer, states)
            return made[0, 0].cpu()  # a GPU answers at once and works on

    return run


class _Module(nn.Module):
    """Some function of states and of weights that are inputs, so that one graph serves all widths.

    Weights are ``[in, out]``, as graphs of an export have them.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.norm = copy.deepcopy(layer.attention_norm).float().cpu()
        self.layer = replace(layer, attention_norm=self.norm, output_norm=self.norm)

    def linear(self, weight: Tensor, bias: Tensor) -> Any:
        return lambda states: states @ weight + bias


class _Attention(_Module):
    def __init__(self, classifier: Classifier, first_only: bool) -> None:
        super().__init__(classifier.layers[0])
        self.classifier, self.first_only = classifier, first_only

    def forward(
        self,
        states: Tensor,
        attention_mask: Tensor,
        query: Tensor,
        query_bias: Tensor,
        key: Tensor,
        key_bias: Tensor,
        value: Tensor,
        value_bias: Tensor,
        output: Tensor,
        output_bias: Tensor,
    ) -> Tensor:
        layer = replace(
            self.layer,
            query=self.linear(query, query_bias),
            key=self.linear(key, key_bias),
            value=self.linear(value, value_bias),
            output=self.linear(output, output_bias),
        )
        real = attention_mask[:, None, None, :].bool()  # [B, 1, 1, T]
        return _attention(self.classifier, layer, states, real, self.first_only)


class _FeedForward(_Module):
    def forward(
        self, states: Tensor, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor
    ) -> Tensor:
        up_, down_ = self.linear(up, up_bias), self.linear(down, down_bias)
        return _feed_forward(replace(self.layer, up=up_, down=down_), states)


class _Nothing(_Module):
    """What a part without any head or neuron is in a graph: a constant vector, add & norm."""

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        made: Tensor = self.norm(bias + states)
        return made


class _Graphs:
    """Graphs of parts of any width, to which weights are given as an export has them: constants."""

    def __init__(self, classifier: Classifier) -> None:
        from torch.export import Dim

        self.classifier = classifier
        hidden, size = classifier.geometry.hidden_size, classifier.geometry.head_size
        layer = classifier.layers[0]
        batch, length, heads, neurons = map(Dim, ("batch", "length", "heads", "neurons"))
        states, mask = torch.zeros(2, 8, hidden), torch.ones(2, 8, dtype=torch.long)
        inputs: dict[str, tuple[Tensor, dict[int, Any]]] = {
            "states": (states, {0: batch, 1: length}),
        }
        attended = inputs | {"attention_mask": (mask, {0: batch, 1: length})}
        for name in ("query", "key", "value"):
            attended[name] = (torch.zeros(hidden, 3 * size), {1: size * heads})
            attended[f"{name}_bias"] = (torch.zeros(3 * size), {0: size * heads})
        attended["output"] = (torch.zeros(3 * size, hidden), {0: size * heads})
        attended["output_bias"] = (torch.zeros(hidden), {})
        fed = inputs | {
            "up": (torch.zeros(hidden, 16), {1: neurons}),
            "up_bias": (torch.zeros(16), {0: neurons}),
            "down": (torch.zeros(16, hidden), {0: neurons}),
            "down_bias": (torch.zeros(hidden), {}),
        }
        nothing = inputs | {"bias": (torch.zeros(hidden), {})}
        self.models = {
            "heads": _exported(_Attention(classifier, False), attended),
            "last heads": _exported(_Attention(classifier, True), attended),
            "neurons": _exported(_FeedForward(layer), fed),
            "nothing": _exported(_Nothing(layer), nothing),
        }

    def pass_of(self, part: Part, states: Tensor, int8: bool, path: Path) -> Pass:
        """A pass of a part over ``states``; ``path`` is for a file."""
        layer, weights = _layer(self.classifier, part), dict[str, Tensor]()
        name: str = part.what if part.units else "nothing"
        inputs = {"states": states}
        if name == "nothing":
            weights["bias"] = layer.down.bias
        for linear in {"heads": ("query", "key", "value", "output"), "neurons": ("up", "down")}.get(
            name, ()
        ):
            weights[linear] = getattr(layer, linear).weight.T
            weights[f"{linear}_bias"] = getattr(layer, linear).bias
        if name == "heads":
            inputs["attention_mask"] = torch.ones(states.shape[:2], dtype=torch.long)
            name = "last heads" if part.last else name
        elif part.last:
            inputs["states"] = states[:, :1].contiguous()
        graph = _with_constants(self.models[name], weights)
        if int8:
            onnx_graph.quantise(graph, path)
        else:
            path.write_bytes(graph.SerializeToString())
        session = onnx_graph.session_of(path, torch.get_num_threads())
        values = {given: tensor.numpy() for given, tensor in inputs.items()}
        return partial(session.run, ["made"], values)


def _exported(module: nn.Module, inputs: dict[str, tuple[Tensor, dict[int, Any]]]) -> Any:
    example, sizes = zip(*inputs.values(), strict=True)
    return onnx_graph.exported(module, example, [*inputs], "made", sizes).model_proto


def _with_constants(graph: Any, weights: dict[str, Tensor]) -> Any:
    """A graph in which some inputs are constants."""
    from onnx import numpy_helper

    made = copy.deepcopy(graph)
    left = [one for one in made.graph.input if one.name not in weights]
    del made.graph.input[:]
    made.graph.input.extend(left)
    made.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(tensor.detach().float().cpu()), name)
        for name, tensor in weights.items()
    )
    return made
