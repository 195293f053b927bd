"""Pruning: heads and neurons really removed, as smaller matrices that answer as the mask does.

Rows of the query, key and value matrices and columns of W_O are sliced by hand, and so are rows of
the up and columns of the down projection of the feed-forward part. The helpers of
transformers for this fall back to the default number type and switch gradients on again.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import COLUMNS, ROWS, Layer, What
from bhpvas.model.linear import joined, linear
from bhpvas.model.weights import Weights


def remove_heads(classifier: Classifier, mask: HeadMask, *, shared: bool = False) -> Any:
    """A copy of the model without what is removed, with the classifier's own weights.

    With ``shared``, modules that removal leaves as they are belong to both models: for running the
    smaller one beside the other, not for changing it.

    The copy is an ordinary module of its family: its attention reshapes by the head size, so it
    runs as it is, even where a layer has no head left. Weights stay frozen and of the same number
    type, on the same device.

    Raises :class:`~bhpvas.errors.ModelError` where a layer is to lose what others go on using.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> mask = classifier.full_mask().without(bhpvas.parse_heads("L0H3,L5H11"))
    >>> model = bhpvas.remove_heads(classifier, mask)
    >>> sum(parameter.numel() for parameter in model.parameters())
    22615490
    >>> model.bert.encoder.layer[0].attention.self.query
    Linear(in_features=384, out_features=352, bias=True)
    """
    made = with_layers(classifier, pruned_layers(classifier, mask), shared=shared)
    for module, kept in zip(classifier.family.encoder_layers(made), mask.kept, strict=True):
        if not kept.all():
            classifier.family.keep_heads(module, np.flatnonzero(kept).tolist())
    return made


def pruned_layers(classifier: Classifier, mask: HeadMask) -> list[Layer]:
    """Every :func:`prune_layer`; layers that share their weights are one."""
    found: dict[int, Layer] = {}
    for number in classifier.geometry.firsts:
        layer = prune_layer(classifier, number, mask)
        found |= dict.fromkeys(classifier.geometry.group_of(number), layer)
    return [found[number] for number in range(mask.layers)]


def with_layers(classifier: Classifier, layers: Sequence[Layer], *, shared: bool = False) -> Any:
    """A copy of the model in which the layers have some other parts; ``shared`` as in
    :func:`remove_heads`.
    """
    known: dict[int, Any] = {}
    modules = classifier.family.encoder_layers(classifier.model)
    for module, whole, other in zip(modules, classifier.layers, layers, strict=True):
        for name, parts in classifier.family.modules_of_parts.items():
            pieces = [getattr(other, part) for part in parts]
            if any(
                one is not getattr(whole, part) for one, part in zip(pieces, parts, strict=True)
            ):
                known[id(attrgetter(name)(module))] = joined(pieces)
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

    Heads stay, since gates mask them; only :attr:`Classifier.layers` differ, the model is whole. So
    layers that share their weights may lack different ones.
    """
    if mask is None or mask.neurons is None:
        return classifier
    known: dict[tuple[int, str], Layer] = {}
    layers = list[Layer]()
    for number, bits in enumerate(mask.neurons.bits):
        same = classifier.geometry.group_of(number)[0], bits
        if same not in known:
            removed = mask.neurons.array[number]
            known[same] = narrowed_layer(classifier, classifier.layers[number], removed)
        layers.append(known[same])
    return replace(classifier, layers=tuple(layers))


def narrowed_layer(classifier: Classifier, layer: Layer, removed: np.ndarray) -> Layer:
    """A layer without the ``removed`` neurons, bool ``[F]``."""
    if not removed.any():
        return layer
    kept = torch.from_numpy(np.flatnonzero(~removed)).to(classifier.device)
    return _with_units(layer, "neurons", kept)


def _with_units(layer: Layer, what: What, places: Tensor) -> Layer:
    """A layer with some of its heads or neurons, by the ``places`` of their rows and columns."""
    parts: dict[str, Any] = {
        name: _linear_of(whole, places)
        for name in ROWS[what]
        if (whole := getattr(layer, name)) is not None
    }
    columns: nn.Linear = getattr(layer, COLUMNS[what])
    bias = None if columns.bias is None else columns.bias.clone()
    parts[COLUMNS[what]] = linear(columns.weight.index_select(1, places), bias)
    return replace(layer, **parts)


def prune_layer(classifier: Classifier, number: int, mask: HeadMask) -> Layer:
    """A layer with what the mask keeps of it alone; the attention's matrices are new ones.

    Raises :class:`~bhpvas.errors.ModelError` where a layer is to lose what others go on using.
    """
    classifier.check_removal(mask)
    kept, layer = mask.kept[number], classifier.layers[number]
    if mask.neurons is not None:
        layer = narrowed_layer(classifier, layer, mask.neurons.array[number])
    if layer.positions is not None:
        heads = torch.from_numpy(np.flatnonzero(kept)).to(classifier.device)
        layer = replace(layer, positions=layer.positions.of_heads(heads))
    return _with_units(layer, "heads", _rows(classifier, kept))


def weights_of(classifier: Classifier, mask: HeadMask, pruned: Any) -> Weights:
    """What a further trained :func:`remove_heads` changed, in the shapes of the unpruned model.

    A removed head keeps the classifier's query, key and value rows, a removed neuron its row of the
    up projection, so that it could learn again after it was restored; its columns of W_O, or of the
    down projection, are zero, so that until then it writes nothing. What is equal to the model as
    it was loaded is left out.
    """
    whole = {name: one.detach() for name, one in pruned.named_parameters()}
    family, unpruned = classifier.family, classifier.with_weights(None).model
    modules, smaller_layers = family.encoder_layers(classifier.model), family.layers(pruned)
    both = [*zip(modules, classifier.layers, smaller_layers, strict=True)]
    for number in classifier.geometry.firsts:
        module, larger, smaller = both[number]
        places = _places(classifier, mask, number)
        for name, parts in family.modules_of_parts.items():
            if not places.keys() & {*parts} or getattr(larger, parts[0]) is None:
                continue
            grown = joined(
                [
                    _grown(getattr(larger, part), getattr(smaller, part), part, places[part])
                    for part in parts
                ]
            )
            for key, one in attrgetter(name)(module).named_parameters():
                whole[classifier.name_of(one)] = getattr(grown, key).detach()
    loaded = dict(unpruned.named_parameters())
    whole = {name: one.float().cpu() for name, one in whole.items()}
    changed = {
        name: one for name, one in whole.items() if not torch.equal(one, loaded[name].float().cpu())
    }
    return Weights(changed)


def _places(classifier: Classifier, mask: HeadMask, number: int) -> dict[str, Tensor]:
    """Where the rows, or columns, that a mask keeps of the parts of a layer stand in the whole."""
    places: dict[What, Tensor] = {"heads": _rows(classifier, mask.kept[number])}
    if mask.neurons is not None:
        kept = np.flatnonzero(~mask.neurons.array[number])
        places["neurons"] = torch.from_numpy(kept).to(classifier.device)
    return {part: rows for what, rows in places.items() for part in (*ROWS[what], COLUMNS[what])}


def _grown(larger: nn.Linear, smaller: nn.Linear, part: str, places: Tensor) -> nn.Linear:
    """A smaller part at its ``places`` in the larger: other rows as they are, other columns 0."""
    bias = None if smaller.bias is None else smaller.bias.detach().float()
    if part in COLUMNS.values():
        weight = torch.zeros_like(larger.weight, dtype=torch.float32)
        weight[:, places] = smaller.weight.detach().float()
        return linear(weight, bias)
    weight = larger.weight.float().clone()
    weight[places] = smaller.weight.detach().float()
    if bias is not None:
        whole = larger.bias.float().clone()
        whole[places] = bias
        bias = whole
    return linear(weight, bias)


def _rows(classifier: Classifier, kept: np.ndarray) -> Tensor:
    """Which rows of the query, key and value matrices belong to the ``kept`` heads (``[H]``)."""
    rows = torch.from_numpy(np.flatnonzero(np.repeat(kept, classifier.geometry.head_size)))
    return rows.to(classifier.device)


def _linear_of(whole: nn.Linear, rows: Tensor) -> nn.Linear:
    """Those rows of a linear map."""
    bias = None if whole.bias is None else whole.bias.index_select(0, rows)
    return linear(whole.weight.index_select(0, rows), bias)
