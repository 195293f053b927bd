"""Format of an export: what each is, and how files are written, read back and measured."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.batching import Batch, each_batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.families.base import Family
from bhpvas.model.pruning import remove_heads
from bhpvas.model.runtimes import Engine
from bhpvas.progress import Progress

WEIGHTS = "model.safetensors"
# Numbers that are compared at once.
_PIECE = 2**18

#: Logits ``[B, C]`` of a padded batch, from the files that were written.
Forward = Callable[[Batch], np.ndarray]


class ExportError(BhpvasError):
    """An export that cannot be written, or that does not answer as the masked model does."""


@dataclass(frozen=True)
class Format:
    """A way to hand over a pruned model.

    ``write(classifier, mask, folder)`` writes its files into an empty folder; ``read(classifier,
    folder)`` gives what they answer. ``smaller`` says whether what was removed is really gone,
    ``weight_bytes(classifier, mask)`` how large its weight file will be. ``usage(family, mask)`` is
    code for the model card that loads it from ``FOLDER``. ``packages`` are those that its figures
    depend on, ``engine`` what runs its files.
    """

    name: str
    title: str
    summary: str
    usage: Callable[[Family, HeadMask], str]
    smaller: bool
    packages: tuple[str, ...]
    write: Callable[[Classifier, HeadMask, Path], None]
    read: Callable[[Classifier, Path], Forward]
    weight_bytes: Callable[[Classifier, HeadMask], int]
    engine: Engine = "torch"


def in_float32(classifier: Classifier) -> Classifier:
    """The classifier computing in float32, with its weights as they are."""
    if classifier.dtype == torch.float32:
        return replace(classifier, mixed=False) if classifier.mixed else classifier
    geometry = classifier.geometry
    whole = HeadMask(geometry.layers, geometry.heads)  # with heads that the model lacks, as zeros
    model = remove_heads(classifier, whole).float()
    layers = classifier.family.layers(model)
    return replace(classifier, model=model, layers=layers, dtype=torch.float32)


def smallest_exact(tensor: Tensor) -> torch.dtype:
    """Half precision where that loses nothing of a tensor, else its own number type.

    Weights that were published in half precision and run in float32 go back to their own size.
    """
    if tensor.dtype == torch.float32:
        pieces = tensor.flatten().split(_PIECE)  # of the whole, copies would be made to compare
        for dtype in (torch.float16, torch.bfloat16):
            if all(torch.equal(piece.to(dtype).float(), piece) for piece in pieces):
                return dtype
    return tensor.dtype


def weight_bytes(model: torch.nn.Module) -> int:
    """Bytes of a model's weights as :func:`save_model` stores them."""
    return sum(
        tensor.numel() * smallest_exact(tensor).itemsize for tensor in model.state_dict().values()
    )


def save_model(
    classifier: Classifier, model: Any, folder: Path, settings: Mapping[str, Any]
) -> None:
    """Write config, weights and tokenizer; ``settings`` are added to the config."""
    from safetensors.torch import save_file

    config = copy.deepcopy(model.config)
    config.update({"architectures": [type(model).__name__], **settings})
    # The number type to load as: what is stored smaller, exactly, becomes this again.
    config.dtype = classifier.dtype
    config.save_pretrained(folder)
    tensors = {
        name: tensor.to(smallest_exact(tensor)).contiguous().cpu()
        for name, tensor in model.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    save_tokenizer(classifier, folder)


def save_tokenizer(classifier: Classifier, folder: Path) -> None:
    """Write the tokenizer so that transformers 4 reads it, too."""
    classifier.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    # transformers 5 has new names for these, and still knows the ones that 4 knows.
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")


def module_forward(kind: Any, classifier: Classifier, folder: Path) -> Forward:
    """What a class of transformers answers with a folder's files, on the classifier's device."""
    model = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model_forward(model.to(classifier.device).eval(), classifier)


def model_forward(model: Any, classifier: Classifier) -> Forward:
    """What a model of transformers answers, with its classifier's kind of tokens."""
    typed = "token_type_ids" in classifier.tokenizer.model_input_names

    def forward(batch: Batch) -> np.ndarray:
        types = {"token_type_ids": batch.token_type_ids} if typed else {}
        with torch.inference_mode():
            found = model(input_ids=batch.input_ids, attention_mask=batch.real.long(), **types)
        return found.logits.float().cpu().numpy()

    return forward


def logits_of(
    forward: Forward, classifier: Classifier, encoded: Encoded, progress: Progress
) -> np.ndarray:
    """Logits ``[N, C]`` of every sentence, in batches of about equal length, padded."""
    logits = np.empty((len(encoded), classifier.geometry.labels), dtype=np.float32)
    for batch, found in each_batch(classifier, encoded, forward, progress=progress):
        logits[batch.rows] = found
    return logits
