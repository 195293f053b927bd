"""A criterion worked out on few sentences: the numbers it is made of, and how they become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bhpvas.criteria import CRITERIA, Scores
from bhpvas.criteria.base import steadiness
from bhpvas.heads import HeadId
from bhpvas.text import MINUS, number

#: What a sentence contributes, for the criteria whose value is a statistic over sentences.
QUANTITIES = {
    "importance": "|∂loss/∂gate|",
    "importance-normalised": "|∂loss/∂gate| / ‖I of its layer‖",
    "fisher": "(∂loss/∂gate)²",
    "first-order": f"{MINUS}∂loss/∂gate",
    "stability-gradient": "|∂loss/∂gate|",
    "stability": "1 − JSD(p‖p̄) / ln 2",
    "stability-confidence": "largest attention, mean",
    "confidence": "largest attention, mean",
    "entropy": "entropy in nats, mean",
}
#: Heads that a pairwise criterion is shown against.
_NEAREST = 4


@dataclass(frozen=True)
class Worked:
    """What a head's value is made of: rows of a name and a number, and the sum in LaTeX.

    ``quantity`` says what the numbers are. Rows are the places of sentences in what was scored,
    or, for a criterion that compares heads, the heads that are nearest.
    """

    quantity: str
    rows: tuple[tuple[int | HeadId, float], ...]
    equation: str
    value: float


def worked(scores: Scores, name: str, head: HeadId) -> Worked:
    """How the value of a kept head follows from the sentences that were scored.

    The value is computed here once more from the rows, so that it can be compared.
    """
    at = head.layer, head.head
    found = scores.measured[name]
    if found.matrix is not None:
        return _nearest(scores, name, head)
    assert found.per_example is not None, "a criterion compares heads or sentences"
    values = found.per_example[:, *at].astype(np.float64)
    rows = tuple(zip(map(int, scores.rows), map(float, values), strict=True))
    quantity = QUANTITIES.get(name, CRITERIA[name].title)
    if found.statistic == "steadiness":
        mean, spread = values.mean(), values.std()
        value = float(steadiness(mean, (values**2).mean()))
        equation = (
            rf"\mu={_tex(mean)},\ \sigma={_tex(spread)}:\quad "
            rf"\frac{{1}}{{1+{_tex(spread)}/{_tex(mean)}}}={_tex(value)}"
        )
    else:
        value = float(values.mean())
        total = "+".join(map(_tex, values)).replace("+-", "-")
        equation = rf"\frac{{{total}}}{{{len(values)}}}={_tex(value)}"
    return Worked(quantity, rows, equation, value)


def _nearest(scores: Scores, name: str, head: HeadId) -> Worked:
    matrix = scores.similarity_matrix[name]
    place = head.layer * scores.mask.heads + head.head
    others = [
        (other, float(matrix[place, other.layer * scores.mask.heads + other.head]))
        for other in scores.mask
        if other != head
    ]
    known = [(other, value) for other, value in others if not np.isnan(value)]
    nearest = sorted(known, key=lambda one: -one[1])[:_NEAREST]
    value = nearest[0][1] if nearest else np.nan
    listed = ",\\ ".join(_tex(one) for _, one in nearest)
    equation = rf"\max\{{{listed},\ \ldots\}}={_tex(value)}"
    return Worked(CRITERIA[name].title.lower(), tuple(nearest), equation, value)


def _tex(value: float) -> str:
    """A number in LaTeX, three digits: a power of ten is written as one."""
    said = number(float(value)).replace(MINUS, "-")
    mantissa, _, power = said.partition("e")
    return rf"{mantissa}\cdot 10^{{{power}}}" if power else said
