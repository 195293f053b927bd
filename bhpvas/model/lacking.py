"""Lacking parts: heads and neurons that the files of a smaller model do not hold, by its config."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.families import FAMILIES, ORDINARY
from bhpvas.neurons import NeuronSet

#: Settings that say what the files of a smaller model lack.
PRUNING = ("pruned_heads", "constant_attention", "feed_forward_sizes", "pruned_neurons")


def pruned_heads(config: Mapping[str, Any], name: str) -> frozenset[HeadId]:
    """The heads that the files lack, by ``pruned_heads`` and ``constant_attention``."""
    layers, heads, _, _ = FAMILIES[config["model_type"]].sizes(config)
    constant = config.get("constant_attention") or ()
    if FAMILIES[config["model_type"]].shared and (constant or config.get("pruned_heads")):
        raise ModelError(
            f"The config.json of {name!r} names pruned_heads, and its layers share their weights, "
            f"so that none can lack some: {ORDINARY}."
        )
    try:
        if not isinstance(constant, list | tuple):
            raise TypeError(f"its constant_attention is {reprlib.repr(constant)} and no list")
        named = config.get("pruned_heads") or {}
        if alone := [layer for layer in constant if str(layer) not in set(map(str, named))]:
            raise ValueError(f"its constant_attention names layer {alone[0]}, and they do not")
        pruned = frozenset(
            HeadId(int(number), int(head))
            for number, removed in named.items()
            for head in (range(heads) if int(number) in constant else removed)
        )
        return HeadMask(layers, heads, pruned).removed
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"The pruned_heads of {name!r} cannot be used: {error}") from None


def pruned_neurons(config: Mapping[str, Any], name: str) -> NeuronSet | None:
    """The feed-forward neurons that the files lack, by ``pruned_neurons``; None where they have all
    of them.

    Raises :class:`ModelError` where ``feed_forward_sizes`` are not what it leaves.
    """
    layers, _, _, width = FAMILIES[config["model_type"]].sizes(config)
    named, sizes = config.get("pruned_neurons"), config.get("feed_forward_sizes")
    if named is None and sizes is None:
        return None
    if FAMILIES[config["model_type"]].shared:
        raise ModelError(
            f"The config.json of {name!r} names pruned_neurons, and its layers share their "
            f"weights, so that none can lack some: {ORDINARY}."
        )
    try:
        digits = {int(number): bits for number, bits in (named or {}).items()}
        found = NeuronSet.of_bits(width, (digits.pop(layer, "") for layer in range(layers)))
        if digits or sizes != [width - count for count in found.counts]:
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise ModelError(
            f"The pruned_neurons of {name!r} cannot be used: they are not those which layers that "
            f"have the feed_forward_sizes {reprlib.repr(sizes)} lack of {width:,}: take both from "
            "the same save."
        ) from None
    return found or None
