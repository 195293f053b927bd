"""Values of units: a number for each head and neuron, and the widths at which least of it goes.

In every part the units of least value go first; how many is chosen so that the values that go add
up to least at the budget. For costs that are proportional to the number of units that is one
threshold for all heads and one for all neurons (Kwon et al. 2022, algorithm 1).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.engine import predict
from bhpvas.model.linear import bias_of
from bhpvas.neurons import NeuronSet
from bhpvas.recovery.base import Recovered
from bhpvas.search.budget import Costs, Target
from bhpvas.search.sensitivity import Sublayer
from bhpvas.search.shares import divergence
from bhpvas.search.target_base import Found, TargetMethod, TargetProblem, what_stays

#: A number for each unit of each part; lower goes first.
Values = Mapping[Sublayer, np.ndarray]


def orders_of(problem: TargetProblem, values: Values) -> dict[Sublayer, np.ndarray]:
    """The units of each part that may go, that of least value first; equals as drawn."""
    rng, found = np.random.default_rng(problem.seed), {}
    for one, value in values.items():
        order = np.lexsort((rng.permutation(len(value)), value))
        found[one] = order[~np.isin(order, list(problem.stay(one)))]
    return found


def lost(
    problem: TargetProblem, values: Values, orders: Mapping[Sublayer, np.ndarray]
) -> dict[Sublayer, np.ndarray]:
    """The sum of what goes for each width that a part may have."""
    found = {}
    for one, order in orders.items():
        gone = problem.units(one.what) - np.array(problem.choices[one.what])
        sums = np.append(0.0, np.cumsum(values[one][order]))
        found[one] = sums[np.minimum(gone, len(order))]
    return found


def going(
    problem: TargetProblem, plan: Mapping[Sublayer, int], orders: Mapping[Sublayer, np.ndarray]
) -> dict[Sublayer, np.ndarray]:
    """The units that go at some widths: the first of each order."""
    return {one: orders[one][: problem.units(one.what) - count] for one, count in plan.items()}


def mask_without(problem: TargetProblem, gone: Mapping[Sublayer, np.ndarray]) -> HeadMask:
    """The mask without the units that go."""
    full, heads = problem.classifier.full_mask(), list[HeadId]()
    neurons = np.zeros((full.layers, problem.units("neurons")), dtype=bool)
    for one, units in gone.items():
        if one.what == "heads":
            heads += [HeadId(one.layer, int(unit)) for unit in units]
        else:
            neurons[one.layer, units] = True
    return full.without(heads).without_neurons(NeuronSet.of(neurons))


def divergence_of(
    problem: TargetProblem, original: np.ndarray, mask: HeadMask, recovered: Recovered | None
) -> float:
    """How far the answers are from the original logits under a mask, with what was recovered."""
    weights = None if recovered is None else recovered.weights
    changed = predict(problem.classifier.with_weights(weights), problem.encoded, mask)
    task = problem.classifier.task
    return divergence(task, torch.from_numpy(original), torch.from_numpy(changed))


def share_lost(values: Values, gone: Mapping[Sublayer, np.ndarray], layer: int) -> float:
    """Which share of the values of a layer goes; 0 where all are 0."""
    parts = [(one, units) for one, units in gone.items() if one.layer == layer]
    whole = sum(float(values[one].sum()) for one, _ in parts)
    return sum(float(values[one][units].sum()) for one, units in parts) / (whole or 1.0)


def _masked(
    problem: TargetProblem,
    plans: Mapping[Target, dict[Sublayer, int]],
    orders: Mapping[Sublayer, np.ndarray],
    reason: Callable[[Mapping[Sublayer, np.ndarray], int], str],
) -> list[Found]:
    """The masks of some widths as they are, with a reason for what goes of each layer."""
    original, layers = predict(problem.classifier, problem.encoded), problem.classifier.layers
    found = []
    for place, plan in enumerate(plans.values()):
        problem.progress(place, len(plans))
        gone = going(problem, plan, orders)
        mask = mask_without(problem, gone)
        found.append(
            Found(
                mask=mask,
                plan=plan,
                recovered=None,
                expected=None,
                divergence=divergence_of(problem, original, mask, None),
                reasons=tuple(
                    f"{what_stays(problem, plan, layer)}: {reason(gone, layer)}"
                    for layer in range(len(layers))
                ),
            )
        )
    problem.progress(len(plans), len(plans))
    return found


# --- by chance ------------------------------------------------------------------------------------


def at_random(problem: TargetProblem) -> list[Found]:
    """Draw heads, and neurons as many at once as widths differ by, until the budget is met.

    Each is as likely to be the next as any other.
    """
    rng = np.random.default_rng(problem.seed)
    steps, orders = list[Sublayer](), dict[Sublayer, np.ndarray]()
    for one in problem.sublayers:
        orders[one] = rng.permutation(sorted({*range(problem.units(one.what))} - problem.stay(one)))
        allowed = [count >= problem.fewest(one) for count in problem.choices[one.what]]
        steps += [one] * (sum(allowed) - 1)
    drawn = [steps[place] for place in rng.permutation(len(steps))]

    def after(count: int) -> dict[Sublayer, int]:
        """The widths once so many of what was drawn are gone."""
        times = Counter(drawn[:count])
        return {one: problem.choices[one.what][-1 - times[one]] for one in problem.sublayers}

    def enough(cost: Costs) -> int:
        """How many of what was drawn have to go."""
        return bisect_left(
            range(len(drawn)),
            True,
            key=lambda count: cost.share_of(after(count)) * cost.whole <= cost.budget,
        )

    plans = {target: after(enough(cost)) for target, cost in problem.costs.items()}
    return _masked(problem, plans, orders, lambda gone, layer: "drawn by chance")


RANDOM = TargetMethod(
    name="random",
    title="By chance",
    summary="Heads and neurons drawn at random until the budget is met, the rest as it was: what "
    "every other method has to beat.",
    source="—",
    misleads="One draw says little: take several seeds. Hold a method that ends with fitted "
    "weights against random masks that were compensated, too (`bhpvas recover`).",
    search=at_random,
    learns=False,
)

# --- magnitude ------------------------------------------------------------------------------------


def by_magnitude(problem: TargetProblem) -> list[Found]:
    """The heads and neurons whose weights are shortest for what they cost."""
    values = magnitudes(problem)
    orders = orders_of(problem, values)
    moves = lost(problem, values, orders)

    def reason(gone: Mapping[Sublayer, np.ndarray], layer: int) -> str:
        share = share_lost(values, gone, layer)
        return f"what goes has {100 * share:.1f}% of the sum of the squared weights of all of them"

    plans = {target: problem.plan(target, moves) for target in problem.costs}
    return _masked(problem, plans, orders, reason)


def magnitudes(problem: TargetProblem) -> dict[Sublayer, np.ndarray]:
    """The squared length of the weights that belong to each unit.

    Of a head these are its rows of the query, key and value matrices with their biases and its
    columns of W_O, of a neuron its row of the up projection with its bias and its column of the
    down projection.
    """
    geometry, found = problem.classifier.geometry, {}
    for number, layer in enumerate(problem.classifier.layers):
        heads = _squares(layer.query, layer.key, layer.value, then=layer.output)
        found[Sublayer(number, "heads")] = heads.reshape(geometry.heads, -1).sum(1)
        found[Sublayer(number, "neurons")] = _squares(
            *([layer.up] if layer.gate is None else [layer.up, layer.gate]), then=layer.down
        )
    return found


def _squares(*read: nn.Linear, then: nn.Linear) -> np.ndarray:
    """Of each row that is read with, its squared length, and that of the column that it meets."""
    sums = then.weight.double().square().sum(0)
    for one in read:
        sums = sums + one.weight.double().square().sum(1) + bias_of(one).double().square()
    found: np.ndarray = sums.cpu().numpy()
    return found


MAGNITUDE = TargetMethod(
    name="magnitude",
    title="Weight magnitude",
    summary="The heads and neurons with the shortest weights for what they cost: as little of "
    "the sum of squared weights as possible goes at the budget, and the rest stays as it was.",
    source="After Li et al. 2017, Pruning Filters for Efficient ConvNets, who sum absolute values",
    misleads="Short weights can meet large inputs, and long ones none; that units stand in for "
    "each other is not seen. Masks stay as they are: `bhpvas recover` can be run after.",
    search=by_magnitude,
    learns=False,
)
