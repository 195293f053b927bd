"""Runtimes: what runs an exported model, and one pass of a pruned model on it, to be timed."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import torch

from bhpvas.errors import BhpvasError, ModelError
from bhpvas.heads import HeadMask
from bhpvas.model import onnx_graph
from bhpvas.model.classifier import Classifier
from bhpvas.model.loading import quiet
from bhpvas.model.pruning import remove_heads
from bhpvas.stats import SEED
from bhpvas.text import plural

Engine = Literal["torch", "onnx", "onnx-int8"]

#: Engines as people call them.
TITLES: dict[Engine, str] = {
    "torch": "PyTorch",
    "onnx": "ONNX Runtime",
    "onnx-int8": "ONNX Runtime, int8",
}

#: One forward pass over the tokens that it was made for; it returns when the answer is there.
Pass = Callable[[], object]


def engine_named(name: str) -> Engine:
    """An engine by its name; raises :class:`BhpvasError` for any other."""
    if name not in get_args(Engine):
        raise BhpvasError(f"{name!r} is no engine; choose from {', '.join(get_args(Engine))}.")
    return cast(Engine, name)


class Timing(NamedTuple):
    """What is timed: ``batch`` sentences of exactly ``length`` tokens at once, on an engine."""

    engine: Engine = "torch"
    batch: int = 8
    length: int = 32

    def check(self, classifier: Classifier) -> None:
        """Raise :class:`ModelError` for a length that the model cannot read, or no sentence."""
        longest = classifier.geometry.max_length
        if not 1 <= self.length <= longest or self.batch < 1:
            raise ModelError(
                f"{self.batch} sentences of {self.length} tokens cannot be timed: the model reads "
                f"at least one sentence of 1 to {longest} tokens."
            )

    def tokens(self, classifier: Classifier, seed: int = SEED) -> np.ndarray:
        """Random tokens, int64 ``[B, T]``; the same for all models of a vocabulary."""
        self.check(classifier)
        words = classifier.model.get_input_embeddings().num_embeddings
        return np.random.default_rng(seed).integers(words, size=(self.batch, self.length))

    def __str__(self) -> str:
        sentences, tokens = plural(self.batch, "sentence"), plural(self.length, "token")
        return f"{sentences} of {tokens} in {TITLES[self.engine]}"


def pass_of(classifier: Classifier, mask: HeadMask, timing: Timing, seed: int = SEED) -> Pass:
    """A pass of the model without what is removed, as an export of it runs.

    For ONNX Runtime a graph is written into a temporary folder and read; it gets as many threads as
    torch has. Raises :class:`ModelError` where a package is missing, or for tokens that the model
    cannot read.
    """
    tokens = timing.tokens(classifier, seed)
    if timing.engine == "torch":
        return module_pass(remove_heads(classifier, mask, shared=True), tokens)
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "model.onnx"
        onnx_graph.write_graph(classifier, mask, path)
        if timing.engine == "onnx-int8":
            whole, path = path, path.with_name("int8.onnx")
            onnx_graph.quantise(whole, path)
        return graph_pass(path, tokens)


def module_pass(model: torch.nn.Module, tokens: np.ndarray) -> Pass:
    """A pass of a model of transformers over tokens ``[B, T]`` without padding."""
    inputs = torch.from_numpy(tokens).to(next(model.parameters()).device)

    def run() -> object:
        with torch.inference_mode():
            return model(input_ids=inputs).logits.cpu()  # a GPU answers at once and works on

    return run


def graph_pass(path: Path, tokens: np.ndarray) -> Pass:
    """A pass of a graph for ONNX Runtime over tokens ``[B, T]`` without padding."""
    session = onnx_graph.session_of(path, torch.get_num_threads())
    values = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
    values["token_type_ids"] = np.zeros_like(tokens)
    inputs = {one.name: values[one.name] for one in session.get_inputs()}
    return lambda: session.run(["logits"], inputs)


def processor() -> str:
    """What this machine's processor is called, as far as the system says it."""
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        for line in cpus.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
