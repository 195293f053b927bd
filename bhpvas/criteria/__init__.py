"""Criteria: what is known of each head and neuron, in one registry and pass, and the ranks.

One module holds the criteria that read the same thing. It imports tasks, data, model and the files
at the root.
"""

from bhpvas.criteria.attention import PROFILE_PARTS
from bhpvas.criteria.base import Criterion, Measurement, NeuronCriterion
from bhpvas.criteria.ranking import (
    DEFAULT_WEIGHTS,
    combined,
    drawn_order,
    places,
    rank_intervals,
    ranks,
    removal_order,
)
from bhpvas.criteria.registry import (
    CRITERIA,
    DEFAULT_CRITERIA,
    DEFAULT_NEURON_CRITERIA,
    NEURON_CRITERIA,
)
from bhpvas.criteria.scoring import Scores, score
from bhpvas.criteria.shift import RankShift, rank_shift, rise_intervals, rise_p
from bhpvas.criteria.similarity import similarity_to_kept

__all__ = [
    "CRITERIA", "DEFAULT_CRITERIA", "DEFAULT_NEURON_CRITERIA", "DEFAULT_WEIGHTS",
    "NEURON_CRITERIA", "PROFILE_PARTS", "Criterion", "Measurement", "NeuronCriterion", "RankShift",
    "Scores", "combined", "drawn_order", "places", "rank_intervals", "rank_shift", "ranks",
    "removal_order", "rise_intervals", "rise_p", "score", "similarity_to_kept",
]  # fmt: skip
