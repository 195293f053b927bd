"""Format onnx: a graph for ONNX Runtime, without Python and without transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.export.base import ExportError, Format, Forward, save_tokenizer
from bhpvas.heads import HeadMask
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.layers import attend, finish_layer
from bhpvas.model.pruning import remove_heads

GRAPH = "model.onnx"
INT8 = "model-int8.onnx"
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class _Network(nn.Module):
    """The pruned network from token ids to logits, written out as in :mod:`bhpvas.model.layers`.

    In the last layer only the first token's query is computed, which is all that is read.
    """

    def __init__(self, classifier: Classifier, mask: HeadMask) -> None:
        super().__init__()
        self.classifier, self.kept = classifier, mask.kept_per_layer
        self.model = remove_heads(classifier, mask).float().cpu()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        family, model = self.classifier.family, self.model
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        real = attention_mask[:, None, None, :].bool()  # [B, 1, 1, T]
        states = family.embed(model, input_ids, types)  # [B, T, D]
        for number, layer in enumerate(family.layers(model)):
            last = number == len(self.kept) - 1
            queries = states[:, :1] if last else states
            if self.kept[number]:
                outputs, _ = attend(self.classifier, layer, states, real, first_only=last)
                attention = layer.output(outputs.flatten(2))
            else:  # ONNX Runtime cannot run an attention without heads: its output is constant
                attention = layer.output.bias.expand(queries.shape)
            if layer.up.out_features:
                states = finish_layer(layer, queries, attention)
            else:  # int8 of an empty matrix gives every sentence the same answer
                attended = layer.attention_norm(attention + queries)
                states = layer.output_norm(layer.down.bias + attended)
        return family.classify(model, states[:, 0])


def check_packages() -> None:
    """Raise :class:`ExportError` where a package that ONNX needs is missing."""
    from importlib.util import find_spec

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"The format onnx needs the package{'s' * (len(missing) > 1)} {', '.join(missing)}: "
            "install with pip install 'bhpvas[onnx]'."
        )


def _write(classifier: Classifier, mask: HeadMask, folder: Path) -> None:
    check_packages()
    names = ["input_ids", "attention_mask"]
    if "token_type_ids" in classifier.tokenizer.model_input_names:
        names.append("token_type_ids")
    # Sizes of 1 would be taken for constants.
    example = tuple(torch.ones(2, 8, dtype=torch.long) for _ in names)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    torch.onnx.export(
        _Network(classifier, mask).eval(),
        example,
        folder / GRAPH,
        dynamo=True,
        input_names=names,
        output_names=["logits"],
        dynamic_shapes=tuple(sizes for _ in names),
        external_data=False,
        verbose=False,
    )
    save_tokenizer(classifier, folder)
    classifier.model.config.save_pretrained(folder)


def quantise(folder: Path) -> None:
    """Write the same graph with int8 weights; activations are quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(folder / GRAPH, folder / INT8, weight_type=QuantType.QInt8)


def read_graph(path: Path) -> Forward:
    """What ONNX Runtime answers, on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def forward(batch: Batch) -> np.ndarray:
        values = {
            "input_ids": batch.input_ids,
            "attention_mask": batch.real.long(),
            "token_type_ids": batch.token_type_ids,
        }
        return session.run(["logits"], {name: values[name].cpu().numpy() for name in names})[0]

    return forward


FORMAT = Format(
    name="onnx",
    title="ONNX",
    summary="One graph for ONNX Runtime, in float32, for any batch size and length; what was "
    "removed is really gone. Runs without Python, torch and transformers.",
    usage=lambda mask: (
        """\
import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
session = onnxruntime.InferenceSession("FOLDER/model.onnx")
inputs = dict(tokenizer(["A sentence."], padding=True, return_tensors="np"))
[logits] = session.run(["logits"], inputs)
"""
    ),
    smaller=True,
    packages=("torch", "onnx", "onnxscript", "onnxruntime"),
    write=_write,
    read=lambda classifier, folder: read_graph(folder / GRAPH),
    weight_bytes=lambda classifier, mask: sum(
        4 * tensor.numel()
        for tensor in remove_heads(classifier, mask, shared=True).state_dict().values()
    ),
)
