"""ONNX graph of a pruned network: written by torch, quantised, and run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.layers import after_attention, after_feed_forward, attend, finish_layer
from bhpvas.model.linear import bias_of
from bhpvas.model.pruning import remove_heads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class Network(nn.Module):
    """The pruned network from token ids to logits, written out as in :mod:`bhpvas.model.layers`.

    In the last layer only the first token's query is computed, where that is all that is read.
    """

    def __init__(self, classifier: Classifier, mask: HeadMask) -> None:
        super().__init__()
        self.classifier, self.kept = classifier, mask.kept_per_layer
        self.model = remove_heads(classifier, mask).float().cpu()
        self.layers = classifier.family.layers(self.model)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        family, model = self.classifier.family, self.model
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        real = attention_mask[:, None, None, :].bool()  # [B, 1, 1, T]
        states = family.embed(model, input_ids, types)  # [B, T, D]
        for number, layer in enumerate(self.layers):
            first_only = self.classifier.first_only(number)
            queries = states[:, :1] if first_only else states
            if self.kept[number]:
                outputs, _ = attend(self.classifier, layer, states, real, first_only=first_only)
                attention = layer.output(outputs.flatten(2))
            else:  # ONNX Runtime cannot run an attention without heads: its output is constant
                attention = bias_of(layer.output).expand(queries.shape)
            if layer.up.out_features:
                states = finish_layer(layer, queries, attention)
            else:  # int8 of an empty matrix gives every sentence the same answer
                attended = after_attention(layer, attention + queries)
                states = after_feed_forward(layer, bias_of(layer.down) + attended)
        return family.logits(model, states, real)


def check_packages() -> None:
    """Raise :class:`ModelError` where a package that ONNX needs is missing."""
    from importlib.util import find_spec

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"ONNX needs the package{'s' * (len(missing) > 1)} {', '.join(missing)}: "
            "install with pip install 'bhpvas[onnx]'."
        )


def input_names(classifier: Classifier) -> list[str]:
    """What the graph of a classifier is given, int64 ``[B, T]`` each."""
    typed = "token_type_ids" in classifier.tokenizer.model_input_names
    return ["input_ids", "attention_mask", *["token_type_ids"] * typed]


def write_graph(classifier: Classifier, mask: HeadMask, path: Path) -> None:
    """Write the pruned network in float32, for any batch size and length."""
    names = input_names(classifier)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    # Sizes of 1 would be taken for constants.
    example = tuple(torch.ones(2, 8, dtype=torch.long) for _ in names)
    made = exported(Network(classifier, mask), example, names, "logits", [sizes for _ in names])
    made.save(path, external_data=False)


def exported(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    output: str,
    sizes: Sequence[Any],
) -> Any:
    """A module as torch makes a graph of it; ``sizes`` are the dimensions of each argument that
    vary.

    Raises :class:`ModelError` where a package is missing.
    """
    check_packages()
    return torch.onnx.export(
        module.eval(),
        example,
        dynamo=True,
        input_names=inputs,
        output_names=[output],
        dynamic_shapes=tuple(sizes),
        verbose=False,
    )


def quantise(graph: Any, path: Path) -> None:
    """Write the same graph (a path or a model) with int8 weights; activations are quantised as
    they come.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(graph, path, weight_type=QuantType.QInt8)


def session_of(path: Path, threads: int) -> InferenceSession:
    """A session of ONNX Runtime on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
