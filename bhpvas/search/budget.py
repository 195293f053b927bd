"""Budget: what may stay of the cost, and the widths that spend it best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.model.families.base import What
from bhpvas.model.runtimes import Timing, engine_named
from bhpvas.neurons import NeuronSet
from bhpvas.search.sensitivity import Sublayer

Measure = Literal["flops", "parameters", "latency"]

# Steps in which a budget is spent.
_BINS = 4000


class Target(NamedTuple):
    """The share of the unpruned model's FLOPs, parameters or time that may stay.

    A time may be said in ``milliseconds`` instead, and then ``share`` is None. It is the time of
    one pass, for the batch and length and on the engine of ``timing``, on this machine.

    >>> Target.parse("flops=0.33").share
    0.33
    >>> target = Target.parse("latency=12ms,engine=onnx,batch=1,length=64")
    >>> target.milliseconds, target.timing.batch, Target.parse(str(target)) == target
    (12.0, 1, True)
    """

    measure: Measure
    share: float | None
    milliseconds: float | None = None
    timing: Timing | None = None

    @classmethod
    def parse(cls, text: str, timing: Timing | None = None) -> Target:
        """Read ``flops=0.33``, ``latency=0.4`` or ``latency=12ms``; the time is that of ``timing``,
        or of what follows of ``engine=onnx,batch=1,length=64``.

        Raises :class:`BhpvasError` for anything else.
        """
        first, *more = (one.partition("=")[::2] for one in text.split(","))
        measure, amount = (one.strip() for one in first)
        try:
            if measure != "latency":
                found = cls(measure, float(amount))  # type: ignore[arg-type]
            else:
                timing = _timing(dict(more), timing or Timing())
                if amount.endswith("ms"):
                    found = cls("latency", None, float(amount.removesuffix("ms")), timing)
                else:
                    found = cls("latency", float(amount), None, timing)
        except (TypeError, ValueError) as error:
            if isinstance(error, BhpvasError):
                raise
            found = cls("flops", 0.0)
        possible = 0 < found.share <= 1 if found.share is not None else _positive(found)
        if not possible or measure not in get_args(Measure) or (more and measure != "latency"):
            raise BhpvasError(
                f"{text!r} is no target: give the share that may stay, such as flops=0.33, "
                "parameters=0.5 or latency=0.4, or a time, such as latency=12ms."
            )
        return found

    def __str__(self) -> str:
        if self.timing is None:
            return f"{self.measure}={self.share:g}"
        amount = f"{self.milliseconds:g}ms" if self.share is None else f"{self.share:g}"
        more = ",".join(f"{name}={value}" for name, value in self.timing._asdict().items())
        return f"latency={amount},{more}"


def _positive(target: Target) -> bool:
    return target.milliseconds is not None and 0 < target.milliseconds < math.inf


def _timing(given: Mapping[str, str], timing: Timing) -> Timing:
    """A timing with what is given of it as text; raises TypeError or ValueError otherwise."""
    numbers = {name: int(value) for name, value in given.items() if name != "engine"}
    engine = engine_named(given.get("engine", timing.engine))
    return Timing(**(timing._asdict() | numbers | {"engine": engine}))


#: What each of some numbers of units of a part costs.
Price = Callable[[Sublayer, Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Costs:
    """What units of a part and everything else cost, all of it, and what may stay of that."""

    price: Price
    rest: float
    whole: float
    budget: float

    @classmethod
    def of(cls, classifier: Classifier, target: Target, lengths: np.ndarray) -> Costs:
        """By arithmetic, of FLOPs at these ``lengths`` of sentences, or of parameters."""
        geometry, full = classifier.geometry, classifier.full_mask()
        neuron = NeuronSet.of_layers(geometry.layers, geometry.intermediate_size, {0: [0]})

        def cost(mask: HeadMask) -> float:
            if target.measure == "parameters":
                return parameters(geometry, mask)
            return flops_per_sentence(geometry, mask, lengths)

        whole = cost(full)
        each: dict[What, float] = {
            "heads": whole - cost(full.without([HeadId(0, 0)])),
            "neurons": whole - cost(full.without_neurons(neuron)),
        }
        units = {"heads": geometry.heads, "neurons": geometry.intermediate_size}
        rest = whole - geometry.layers * sum(each[what] * units[what] for what in each)
        assert target.share is not None
        return cls(
            lambda one, counts: each[one.what] * np.array(counts, dtype=float),
            rest,
            whole,
            target.share * whole,
        )

    def share_of(self, plan: Mapping[Sublayer, int]) -> float:
        """The share of the whole that widths leave."""
        spent = sum(float(self.price(one, [count])[0]) for one, count in plan.items())
        return (self.rest + spent) / self.whole

    def allotted(
        self, choices: Mapping[What, Sequence[int]], moves: Mapping[Sublayer, np.ndarray]
    ) -> dict[Sublayer, int]:
        """The width of each part for which least is lost in all, within the budget.

        One of several choices each, by dynamic programming over what is spent so far. ``moves`` say
        what is lost with each, infinite where it may not be chosen; with the least finite ones of
        all parts the budget must be kept (:meth:`check`).
        """
        whole = {one: choices[one.what][-1] for one in moves}
        if self.share_of(whole) * self.whole <= self.budget:
            return whole
        unit = max(self.budget - self.rest, 0.0) / _BINS or 1.0
        best = np.full(_BINS + 1, np.inf)
        best[0], chosen = 0.0, dict[Sublayer, np.ndarray]()
        spent = {
            one: np.ceil(self.price(one, choices[one.what]) / unit - 1e-9).astype(int).tolist()
            for one in moves
        }
        for one, moved in moves.items():
            after, choice = np.full(_BINS + 1, np.inf), np.full(_BINS + 1, -1)
            for place, price in enumerate(spent[one]):
                if price <= _BINS:
                    total = np.full(_BINS + 1, np.inf)
                    total[price:] = best[: _BINS + 1 - price] + moved[place]
                    better = total < after
                    after[better], choice[better] = total[better], place
            best, chosen[one] = after, choice
        if np.isinf(best).all():  # as good as no room, once prices are rounded up
            first = {one: int(np.argmax(np.isfinite(moved))) for one, moved in moves.items()}
            return {one: choices[one.what][place] for one, place in first.items()}
        left, plan = int(np.argmin(best)), dict[Sublayer, int]()
        for one, choice in reversed(chosen.items()):
            place = int(choice[left])
            plan[one] = choices[one.what][place]
            left -= spent[one][place]
        return dict(reversed(plan.items()))

    def check(self, target: Target, fewest: Mapping[Sublayer, int]) -> None:
        """Raise :class:`BhpvasError` where even the fewest units that must stay cost more."""
        least = self.share_of(fewest)
        if least * self.whole > self.budget:
            amount, larger = f"{math.ceil(1000 * least) / 1000:g}", "share"
            if target.milliseconds is not None:
                time = math.ceil(1e5 * least * self.whole) / 100
                amount, larger = f"{time:.2f}ms", "time"
            raise BhpvasError(
                f"{target} cannot be reached: when all goes that may go, {target.measure}={amount} "
                f"stays. Give a larger {larger}, or let more go: other units, fewer heads that "
                "must stay."
            )
