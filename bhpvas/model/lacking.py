"""Lacking parts: heads and neurons that the files of a smaller model do not hold, by its config."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.families import FAMILIES
from bhpvas.neurons import NeuronSet

#: Settings that say what the files of a smaller model lack.
PRUNING = (
    "pruned_heads",
    "removed_heads",
    "constant_attention",
    "feed_forward_sizes",
    "pruned_neurons",
)


def pruned_heads(config: Mapping[str, Any], name: str) -> frozenset[HeadId]:
    """The heads that the files lack, by ``pruned_heads``, or the family's own key for it, and
    ``constant_attention``.

    Both number the layers whose weights the files hold; where several layers of the model share
    those, each of them lacks the head.
    """
    family = FAMILIES[config["model_type"]]
    layers, heads, _, _ = family.sizes(config)
    constant = config.get("constant_attention") or ()
    key = family.pruned_key if config.get(family.pruned_key) else "pruned_heads"
    try:
        if not isinstance(constant, list | tuple):
            raise TypeError(f"its constant_attention is {reprlib.repr(constant)} and no list")
        named = config.get(key) or {}
        if alone := [layer for layer in constant if str(layer) not in set(map(str, named))]:
            raise ValueError(f"its constant_attention names layer {alone[0]}, and they do not")
        groups = family.groups(config)
        if beyond := [number for number in named if not 0 <= int(number) < len(groups)]:
            raise ValueError(
                f"they name layer {beyond[0]}, and its weights are those of layers 0 to "
                f"{len(groups) - 1}"
            )
        pruned = frozenset(
            HeadId(layer, int(head))
            for number, removed in named.items()
            for head in (range(heads) if int(number) in constant else removed)
            for layer in groups[int(number)]
        )
        return HeadMask(layers, heads, pruned).removed
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"The {key} of {name!r} cannot be used: {error}") from None


def pruned_neurons(config: Mapping[str, Any], name: str) -> NeuronSet | None:
    """The feed-forward neurons that the files lack, by ``pruned_neurons``; None where they have all
    of them.

    Raises :class:`ModelError` where ``feed_forward_sizes`` are not what it leaves.
    """
    family = FAMILIES[config["model_type"]]
    layers, _, _, width = family.sizes(config)
    named, sizes = config.get("pruned_neurons"), config.get("feed_forward_sizes")
    if named is None and sizes is None:
        return None
    try:
        digits = {int(number): bits for number, bits in (named or {}).items()}
        bits = [""] * layers
        stated = list[int]()
        for number, group in enumerate(family.groups(config)):
            for layer in group:
                bits[layer] = digits.get(number, "")
            stated.append(group[0])
            digits.pop(number, None)
        found = NeuronSet.of_bits(width, bits)
        if digits or sizes != [width - found.counts[layer] for layer in stated]:
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise ModelError(
            f"The pruned_neurons of {name!r} cannot be used: they are not those which layers that "
            f"have the feed_forward_sizes {reprlib.repr(sizes)} lack of {width:,}: take both from "
            "the same save."
        ) from None
    return found or None
