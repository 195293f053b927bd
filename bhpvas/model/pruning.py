"""Pruning: heads and neurons really removed, as smaller matrices that answer as the mask does.

Rows of the query, key and value matrices and columns of W_O are sliced by hand, and so are rows of
the up and columns of the down projection of the feed-forward part. The helpers of
transformers for this fall back to the default number type and switch gradients on again.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import Layer
from bhpvas.model.weights import Weights


def remove_heads(classifier: Classifier, mask: HeadMask, *, shared: bool = False) -> Any:
    """A copy of the model without what is removed, with the classifier's own weights.

    With ``shared``, modules that removal leaves as they are belong to both models: for running the
    smaller one beside the other, not for changing it.

    The copy is an ordinary module of its family: its attention reshapes by the head size, so it
    runs as it is, even where a layer has no head left. Weights stay frozen and of the same number
    type, on the same device.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> mask = classifier.full_mask().without(bhpvas.parse_heads("L0H3,L5H11"))
    >>> model = bhpvas.remove_heads(classifier, mask)
    >>> sum(parameter.numel() for parameter in model.parameters())
    22615490
    >>> model.bert.encoder.layer[0].attention.self.query
    Linear(in_features=384, out_features=352, bias=True)
    """
    known: dict[int, Any] = {}
    for number, whole in enumerate(classifier.layers):
        smaller = prune_layer(classifier, number, mask)
        parts = ["query", "key", "value", "output"]
        parts += ["up", "down"] * (smaller.up is not whole.up)
        for name in parts:
            known[id(getattr(whole, name))] = getattr(smaller, name)
    return _around(classifier.model, known) if shared else _copied(classifier.model, known)


def _around(module: nn.Module, known: dict[int, Any]) -> nn.Module:
    """A module with the parts that ``known`` has by id; itself where it has none of them."""
    parts = {
        name: part if part is None else known.get(id(part)) or _around(part, known)
        for name, part in module._modules.items()
    }
    if all(part is module._modules[name] for name, part in parts.items()):
        return module
    made = module.__class__.__new__(module.__class__)
    for name, value in vars(module).items():
        made.__dict__[name] = value.copy() if isinstance(value, dict) else value
    made.__dict__["_modules"] = parts
    return made


def _copied(module: nn.Module, known: dict[int, Any]) -> Any:
    """A copy of a module as :func:`copy.deepcopy` makes it; what ``known`` has by id is taken.

    A quarter of the time: a module holds a dozen dictionaries of hooks, mostly empty, and deepcopy
    takes each apart and puts it together again.
    """
    made: nn.Module = known.setdefault(id(module), module.__class__.__new__(module.__class__))
    for name, value in vars(module).items():
        if name == "_modules":
            copied: Any = {
                key: known.get(id(one)) or _copied(one, known) if one is not None else None
                for key, one in value.items()
            }
        elif isinstance(value, dict) and not value:
            copied = value.copy()
        else:
            copied = copy.deepcopy(value, known)
        made.__dict__[name] = copied
    return made


def narrowed(classifier: Classifier, mask: HeadMask | None) -> Classifier:
    """The classifier with layers that lack the feed-forward neurons that a mask removes.

    Heads stay, since gates mask them; only :attr:`Classifier.layers` differ, the model is whole.
    Raises :class:`~bhpvas.errors.ModelError` where layers share their weights.
    """
    if mask is None or mask.neurons is None:
        return classifier
    classifier.check_removal()
    layers = (
        _narrowed(classifier, layer, removed)
        for layer, removed in zip(classifier.layers, mask.neurons.array, strict=True)
    )
    return replace(classifier, layers=tuple(layers))


def _narrowed(classifier: Classifier, layer: Layer, removed: np.ndarray) -> Layer:
    """A layer without the ``removed`` neurons, bool ``[F]``."""
    if not removed.any():
        return layer
    kept = torch.from_numpy(np.flatnonzero(~removed)).to(classifier.device)
    return replace(
        layer,
        up=_linear_of(layer.up, kept),
        down=linear(layer.down.weight.index_select(1, kept), layer.down.bias.clone()),
    )


def prune_layer(classifier: Classifier, number: int, mask: HeadMask) -> Layer:
    """A layer with what the mask keeps of it alone; the attention's matrices are new ones.

    Raises :class:`~bhpvas.errors.ModelError` where something is to go whose weights layers share.
    """
    kept, layer = mask.kept[number], classifier.layers[number]
    if mask.neurons is not None:
        layer = _narrowed(classifier, layer, mask.neurons.array[number])
    if not kept.all() or mask.neurons is not None:
        classifier.check_removal()
    rows = _rows(classifier, kept)
    return replace(
        layer,
        query=_linear_of(layer.query, rows),
        key=_linear_of(layer.key, rows),
        value=_linear_of(layer.value, rows),
        output=linear(layer.output.weight.index_select(1, rows), layer.output.bias.clone()),
    )


def weights_of(classifier: Classifier, mask: HeadMask, pruned: Any) -> Weights:
    """What a further trained :func:`remove_heads` changed, in the shapes of the unpruned model.

    A removed head keeps the classifier's query, key and value rows, a removed neuron its row of the
    up projection, so that it could learn again after it was restored; its columns of W_O, or of the
    down projection, are zero, so that until then it writes nothing. What is equal to the model as
    it was loaded is left out.
    """
    whole = {name: one.detach() for name, one in pruned.named_parameters()}
    for number, smaller in enumerate(classifier.family.layers(pruned)):
        larger = classifier.layers[number]
        rows = dict.fromkeys(("query", "key", "value"), _rows(classifier, mask.kept[number]))
        columns = {"output": rows["query"]}
        if smaller.up.out_features < larger.up.out_features and mask.neurons is not None:
            kept = np.flatnonzero(~mask.neurons.array[number])
            rows["up"] = columns["down"] = torch.from_numpy(kept).to(classifier.device)
        for name, places in rows.items():
            for part in ("weight", "bias"):
                there = getattr(getattr(larger, name), part)
                grown = there.float().clone()
                grown[places] = getattr(getattr(smaller, name), part).detach().float()
                whole[classifier.name_of(there)] = grown
        for name, places in columns.items():
            there = getattr(larger, name).weight
            grown = torch.zeros_like(there, dtype=torch.float32)
            grown[:, places] = getattr(smaller, name).weight.detach().float()
            whole[classifier.name_of(there)] = grown
    loaded = dict(classifier.with_weights(None).model.named_parameters())
    whole = {name: one.float().cpu() for name, one in whole.items()}
    changed = {
        name: one for name, one in whole.items() if not torch.equal(one, loaded[name].float().cpu())
    }
    return Weights(changed)


def _rows(classifier: Classifier, kept: np.ndarray) -> Tensor:
    """Which rows of the query, key and value matrices belong to the ``kept`` heads (``[H]``)."""
    rows = torch.from_numpy(np.flatnonzero(np.repeat(kept, classifier.geometry.head_size)))
    return rows.to(classifier.device)


def _linear_of(whole: nn.Linear, rows: Tensor) -> nn.Linear:
    """Those rows of a linear map."""
    return linear(whole.weight.index_select(0, rows), whole.bias.index_select(0, rows))


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A frozen linear map with weight ``[out, in]`` and bias ``[out]``; either may be empty."""
    outputs, inputs = weight.shape
    made = nn.Linear.__new__(nn.Linear)  # its own way of being made would draw values
    nn.Module.__init__(made)
    made.in_features, made.out_features, made.training = inputs, outputs, False
    made.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    made.bias = nn.Parameter(bias, requires_grad=False)
    return made
