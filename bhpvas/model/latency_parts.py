"""Parts of a layer to be timed by themselves: attention and feed-forward parts of some width."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.heads import HeadId
from bhpvas.model import onnx_graph
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import COLUMNS, ROWS, Layer, What
from bhpvas.model.layers import after_attention, after_feed_forward, attend, neurons_of
from bhpvas.model.linear import bias_of
from bhpvas.model.loading import quiet
from bhpvas.model.pruning import prune_layer
from bhpvas.model.runtimes import Pass, Timing
from bhpvas.neurons import NeuronSet
from bhpvas.stats import SEED

#: What each kind of part is made of.
_PARTS: dict[What, tuple[str, ...]] = {
    "heads": (*ROWS["heads"], COLUMNS["heads"]),
    "neurons": (*ROWS["neurons"], COLUMNS["neurons"]),
}


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
    return after_attention(layer, layer.output(outputs.flatten(2)) + states[:, : outputs.shape[1]])


def _feed_forward(layer: Layer, states: Tensor) -> Tensor:
    return after_feed_forward(layer, layer.down(neurons_of(layer, states)) + states)


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

    Weights are ``[in, out]``, as graphs of an export have them, and come by the names of ``parts``:
    of each its weight, and its bias where it has one.
    """

    def __init__(self, layer: Layer, parts: Sequence[str] = ()) -> None:
        super().__init__()
        norm = layer.feed_forward_norm  # the attention's may be none
        self.norm = copy.deepcopy(norm).float().cpu()
        self.layer = replace(layer, attention_norm=self.norm, feed_forward_norm=self.norm)
        self.names = _weight_names(layer, parts)

    def narrower(self, weights: Sequence[Tensor]) -> Layer:
        """The layer with the weights that were given."""
        given = dict(zip(self.names, weights, strict=True))
        parts: dict[str, Any] = {
            name: _Linear(given[name], given.get(f"{name}_bias"))
            for name in self.names
            if not name.endswith("_bias")
        }
        return replace(self.layer, **parts)


class _Linear:
    """A linear map of weights ``[in, out]``."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, states: Tensor) -> Tensor:
        answer = states @ self.weight
        return answer if self.bias is None else answer + self.bias


def _weight_names(layer: Layer, parts: Sequence[str]) -> list[str]:
    """The weights and biases that some parts of a layer have."""
    return [
        name
        for part in parts
        if (whole := getattr(layer, part)) is not None
        for name in [part, *[f"{part}_bias"] * (whole.bias is not None)]
    ]


class _Attention(_Module):
    def __init__(self, classifier: Classifier, first_only: bool) -> None:
        super().__init__(classifier.layers[0], _PARTS["heads"])
        self.classifier, self.first_only = classifier, first_only

    def forward(self, states: Tensor, attention_mask: Tensor, *weights: Tensor) -> Tensor:
        real = attention_mask[:, None, None, :].bool()  # [B, 1, 1, T]
        layer = self.narrower(weights)
        if layer.positions is not None:
            heads = torch.arange(weights[0].shape[1] // self.classifier.geometry.head_size)
            layer = replace(layer, positions=layer.positions.of_heads(heads))
        return _attention(self.classifier, layer, states, real, self.first_only)


class _FeedForward(_Module):
    def forward(self, states: Tensor, *weights: Tensor) -> Tensor:
        return _feed_forward(self.narrower(weights), states)


class _Nothing(_Module):
    """What a part without any head or neuron is in a graph: a constant vector, add & norm."""

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        return after_feed_forward(self.layer, bias + states)


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
        attended |= _example(layer, "heads", 3 * size, size * heads)
        fed = inputs | _example(layer, "neurons", 16, neurons)
        nothing = inputs | {"bias": (torch.zeros(hidden), {})}
        self.models = {
            "heads": _exported(_Attention(classifier, False), attended),
            "last heads": _exported(_Attention(classifier, True), attended),
            "neurons": _exported(_FeedForward(layer, _PARTS["neurons"]), fed),
            "nothing": _exported(_Nothing(layer), nothing),
        }

    def pass_of(self, part: Part, states: Tensor, int8: bool, path: Path) -> Pass:
        """A pass of a part over ``states``; ``path`` is for a file."""
        layer, weights = _layer(self.classifier, part), dict[str, Tensor]()
        name: str = part.what if part.units else "nothing"
        inputs = {"states": states}
        if name == "nothing":
            weights["bias"] = bias_of(layer.down)
        for given in _weight_names(layer, _PARTS[part.what] if part.units else ()):
            whole = getattr(layer, given.removesuffix("_bias"))
            weights[given] = whole.bias if given.endswith("_bias") else whole.weight.T
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


def _example(layer: Layer, what: What, width: int, units: Any) -> dict[str, tuple[Tensor, Any]]:
    """Weights of a layer's part for an export, of some ``width`` that stands for any."""
    hidden = layer.output.weight.shape[0]
    of_columns = COLUMNS[what]
    found: dict[str, tuple[Tensor, Any]] = {}
    for name in _weight_names(layer, _PARTS[what]):
        if name == f"{of_columns}_bias":
            found[name] = (torch.zeros(hidden), {})
        elif name.endswith("_bias"):
            found[name] = (torch.zeros(width), {0: units})
        elif name == of_columns:
            found[name] = (torch.zeros(width, hidden), {0: units})
        else:
            found[name] = (torch.zeros(hidden, width), {1: units})
    return found


def _exported(module: nn.Module, inputs: dict[str, tuple[Tensor, dict[int, Any]]]) -> Any:
    example, sizes = zip(*inputs.values(), strict=True)
    # Weights are one argument to torch, however many they are.
    first = sum(name in ("states", "attention_mask", "bias") for name in inputs)
    nested = (*sizes[:first], sizes[first:]) if first < len(sizes) else sizes
    return onnx_graph.exported(module, example, [*inputs], "made", nested).model_proto


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
