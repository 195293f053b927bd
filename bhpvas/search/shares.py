"""How many heads each layer gives, by what the answers of the compensated model really lose."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bhpvas.heads import HeadId, HeadMask
from bhpvas.recovery.compensation import compensate
from bhpvas.recovery.layerwise import Originals, Walk, parts_of, walk
from bhpvas.search.base import Method, Removal, Task
from bhpvas.search.reconstruction import LayerError, layer_errors


def divergence(original: Tensor, other: Tensor) -> float:
    """Mean KL divergence in nats of answers from the original ones, both as logits ``[n, C]``."""
    before, after = original.log_softmax(1), other.log_softmax(1)
    return float((before.exp() * (before - after)).sum(1).mean())


class _Tried(NamedTuple):
    """What happens if a layer gives some heads: divergence, and the walk from that layer up."""

    heads: list[HeadId]
    divergence: float
    walked: Walk


def search(task: Task) -> list[Removal]:
    """Take the next few heads from the layer that can give them at the least divergence.

    Each layer's heads are in the order of :mod:`~bhpvas.search.reconstruction`. For every layer in
    turn the next few are removed, everything from that layer up is compensated, and the KL
    divergence to the unpruned model's answers is measured; the layer where it rises least, by head,
    gives them.
    """
    classifier = task.classifier
    orders = [_order(number, layer) for number, layer in enumerate(layer_errors(task))]
    sample = task.sample(task.options["sentences"])
    mask, chosen = task.mask, list[Removal]()
    with torch.inference_mode():
        parts = parts_of(classifier, classifier.encode(sample.calibration), seed=task.seed)
        originals = Originals(classifier, parts, keep=True)
        answers = originals.logits
        walked = walk(originals, mask, compensate, keep=True)
        before, states = divergence(answers, walked.logits), walked.states
        while len(chosen) < task.count:
            task.progress(len(chosen), task.count)
            # Few at a time where few are left: there each one matters more.
            most = max(1, round(task.options["share"] * mask.kept_count))
            tried = []
            for layer, order in enumerate(orders):
                heads = _next(task, order, mask, most)
                if heads:
                    walked = walk(
                        originals,
                        mask.without(heads),
                        compensate,
                        begin=layer,
                        entering=states[layer],
                        keep=True,
                    )
                    tried.append(_Tried(heads, divergence(answers, walked.logits), walked))
            # By head, since a layer with few heads left can only give those.
            best = min(tried, key=lambda one: (one.divergence - before) / len(one.heads))
            chosen += [
                Removal(
                    head,
                    f"layer {head.layer} gives it at the least: {best.divergence:.4f} nats from "
                    "the unpruned answers",
                )
                for head in best.heads[: task.count - len(chosen)]
            ]
            mask = mask.without(best.heads)
            before, states = best.divergence, states | best.walked.states
    task.progress(task.count, task.count)
    return chosen


def _order(layer: int, error: LayerError) -> list[HeadId]:
    """A layer's heads by least added error, each removal refitted before the next is chosen."""
    order = []
    while error.kept:
        added = error.added()
        head = min(added, key=added.__getitem__)
        error.remove(head)
        order.append(HeadId(layer, head))
    return order


def _next(task: Task, order: list[HeadId], mask: HeadMask, most: int) -> list[HeadId]:
    """The next heads of a layer's order that may go, ``most`` at most."""
    heads: list[HeadId] = []
    for head in order:
        if len(heads) < most and task.constraints.allows(mask.without(heads), head):
            heads.append(head)
    return heads


METHOD = Method(
    name="shares",
    title="Shares by layer",
    summary="Each layer gives as many heads as it can spare, measured by how far the compensated "
    "model's answers move from the unpruned one's.",
    source="Ours",
    search=search,
    for_compensation=True,
    defaults={"share": 0.05, "sentences": 512},
)
