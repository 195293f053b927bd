"""Registry of criteria: of heads and of feed-forward neurons, by name."""

from __future__ import annotations

from bhpvas.criteria import attention, gradients, neurons, similarity, surgeon
from bhpvas.criteria.base import Criterion, NeuronCriterion

_MODULES = (gradients, attention, similarity)
#: Every criterion of heads by name, in the order in which a person meets them.
CRITERIA: dict[str, Criterion] = {one.name: one for module in _MODULES for one in module.CRITERIA}
#: The three criteria of BHPVAS.
DEFAULT_CRITERIA = ("importance", "stability", "similarity")
#: Every criterion of feed-forward neurons by name; what a head has too is called the same.
NEURON_CRITERIA: dict[str, NeuronCriterion] = {
    one.name: one for one in (*neurons.CRITERIA, surgeon.CRITERION)
}
#: Those that cost little beside the criteria of heads.
DEFAULT_NEURON_CRITERIA = ("importance", "fisher", "activation")
