"""The slow obvious way to everything that the engine does: one sentence at a time, with hooks."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier


def inputs_of(classifier: Classifier, text: str) -> dict[str, torch.Tensor]:
    """One sentence as the model's own forward takes it."""
    return classifier.tokenizer(
        text, return_tensors="pt", truncation=True, max_length=classifier.geometry.max_length
    )


def plain_logits(classifier: Classifier, texts: tuple[str, ...]) -> np.ndarray:
    """Logits of the model's own forward, sentence by sentence."""
    with torch.no_grad():
        return np.concatenate(
            [classifier.model(**inputs_of(classifier, text)).logits.numpy() for text in texts]
        )


def output_layers(classifier: Classifier, model: nn.Module) -> list[nn.Linear]:
    """The output projections of a model of the classifier's family."""
    return [layer.output for layer in classifier.family.layers(model)]


def zeroed(classifier: Classifier, mask: HeadMask) -> nn.Module:
    """A copy of the model whose output projections ignore the removed heads."""
    model = copy.deepcopy(classifier.model)
    size = classifier.geometry.head_size
    for head in mask.removed:
        columns = slice(head.head * size, (head.head + 1) * size)
        output_layers(classifier, model)[head.layer].weight.data[:, columns] = 0
    return model


def sliced(classifier: Classifier, mask: HeadMask) -> nn.Module:
    """A copy of a BERT from which the removed heads are physically gone."""
    model = copy.deepcopy(classifier.model)
    size = classifier.geometry.head_size
    for number, layer in enumerate(model.bert.encoder.layer):
        kept = np.repeat(mask.kept[number], size)
        attention = layer.attention.self
        for name in ("query", "key", "value"):
            old = getattr(attention, name)
            new = nn.Linear(old.in_features, int(kept.sum()))
            new.weight.data, new.bias.data = old.weight.data[kept], old.bias.data[kept]
            setattr(attention, name, new)
        layer.attention.output.dense.weight.data = layer.attention.output.dense.weight.data[:, kept]
    return model


def gate_gradients(classifier: Classifier, text: str, label: int) -> np.ndarray:
    """``∂loss / ∂gate`` of one sentence through the model's own forward: ``[L, H]``."""
    model = copy.deepcopy(classifier.model)
    heads, size = classifier.geometry.heads, classifier.geometry.head_size
    gates = torch.ones(classifier.geometry.layers, heads, requires_grad=True)

    def scale(number: int):
        return lambda module, args: (args[0] * gates[number].repeat_interleave(size),)

    for number, output in enumerate(output_layers(classifier, model)):
        output.register_forward_pre_hook(scale(number))
    logits = model(**inputs_of(classifier, text)).logits
    nn.functional.cross_entropy(logits, torch.tensor([label])).backward()
    return gates.grad.numpy()


def head_outputs(classifier: Classifier, text: str) -> np.ndarray:
    """What enters the output projections, head by head: ``[L, H, T, d_h]``."""
    seen: list[torch.Tensor] = []
    handles = [
        output.register_forward_pre_hook(lambda module, args: seen.append(args[0][0]))
        for output in output_layers(classifier, classifier.model)
    ]
    try:
        with torch.no_grad():
            classifier.model(**inputs_of(classifier, text))
    finally:
        for handle in handles:
            handle.remove()
    shape = (len(seen), -1, classifier.geometry.heads, classifier.geometry.head_size)
    return torch.stack(seen).view(shape).transpose(1, 2).numpy()


def attention_maps(classifier: Classifier, text: str) -> np.ndarray:
    """Attention maps of one sentence by the model's eager attention: ``[L, H, T, T]``."""
    model = copy.deepcopy(classifier.model)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = model(**inputs_of(classifier, text), output_attentions=True).attentions
    return torch.cat(maps).numpy()


def moments(
    classifier: Classifier, texts: tuple[str, ...], mask: HeadMask, layer: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``[n, k·d_h]`` and aims ``[n, D]`` of a layer, sentence by sentence with hooks.

    The lowest changed layer only, whose inputs are those of the unpruned model.
    """
    outputs, aims = [], []
    kept = mask.kept[layer].repeat(classifier.geometry.head_size)
    for text in texts:
        found = head_outputs(classifier, text)[layer]  # [H, T, d_h]
        flat = found.transpose(1, 0, 2).reshape(found.shape[1], -1)
        flat = flat[:1] if layer == 1 else flat
        projection = classifier.layers[layer].output
        aims.append(flat @ projection.weight.numpy().T + projection.bias.numpy())
        outputs.append(flat[:, kept])
    return np.concatenate(outputs), np.concatenate(aims)
