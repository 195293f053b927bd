"""Format onnx: a graph for ONNX Runtime, without Python and without transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bhpvas.errors import ModelError
from bhpvas.export.base import ExportError, Format, Forward, save_tokenizer
from bhpvas.heads import HeadMask
from bhpvas.model import onnx_graph
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.pruning import remove_heads

GRAPH = "model.onnx"
INT8 = "model-int8.onnx"


def check_packages() -> None:
    """Raise :class:`ExportError` where a package that ONNX needs is missing."""
    try:
        onnx_graph.check_packages()
    except ModelError as error:
        raise ExportError(str(error)) from None


def _write(classifier: Classifier, mask: HeadMask, folder: Path) -> None:
    check_packages()
    onnx_graph.write_graph(classifier, mask, folder / GRAPH)
    save_tokenizer(classifier, folder)
    classifier.model.config.save_pretrained(folder)


def quantise(folder: Path) -> None:
    """Write the same graph with int8 weights; activations are quantised as they come."""
    onnx_graph.quantise(folder / GRAPH, folder / INT8)


def read_graph(path: Path) -> Forward:
    """What ONNX Runtime answers, on the processor, with as many threads as torch has."""
    session = onnx_graph.session_of(path, torch.get_num_threads())
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
    usage=lambda family, mask: (
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
    engine="onnx",
    write=_write,
    read=lambda classifier, folder: read_graph(folder / GRAPH),
    weight_bytes=lambda classifier, mask: sum(
        4 * tensor.numel()
        for tensor in remove_heads(classifier, mask, shared=True).state_dict().values()
    ),
)
