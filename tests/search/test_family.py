"""A family: which targets can be reached, and what is kept of what one search finds."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.neurons import NeuronSet
from bhpvas.search import Constraints
from bhpvas.search.budget import Measure, Target
from bhpvas.search.family import REDUCTIONS, Member, family_targets, least_share
from bhpvas.search.target import Unit, narrow_to
from bhpvas.storage.results import packed, unpacked
from tests.tiny import many_sentences, save_tiny

LENGTHS = [7, 12, 20]
DATA = many_sentences(24, seed=6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return load_classifier(save_tiny(tmp_path_factory.mktemp("tiny-family"), seed=2))


def test_the_least_share_is_what_stays_when_all_goes_that_may(tiny: Classifier) -> None:
    whole, geometry = tiny.full_mask(), tiny.geometry
    neurons = NeuronSet.of(np.ones((2, geometry.intermediate_size), dtype=bool))
    stay = frozenset(parse_heads("L0H1,L0H2"))
    limits = Constraints(stay, min_per_layer=1)
    limited = whole.without([head for head in whole if head not in {*stay, *parse_heads("L1H3")}])
    for units, constraints, left in (
        (("heads", "neurons"), Constraints(), whole.without(whole).without_neurons(neurons)),
        (("heads",), Constraints(), whole.without(whole)),
        (("neurons",), limits, whole.without_neurons(neurons)),
        (("heads", "neurons"), limits, limited.without_neurons(neurons)),
        (("sublayers",), limits, whole.without_neurons(neurons)),
        (("sublayers",), Constraints(), whole.without(whole).without_neurons(neurons)),
        (("heads", "sublayers"), limits, limited.without_neurons(neurons)),
        (("neurons", "sublayers"), limits, whole.without_neurons(neurons)),
    ):
        chosen: tuple[Unit, ...] = units  # type: ignore[assignment]
        flops = least_share(tiny, "flops", LENGTHS, units=chosen, constraints=constraints)
        of = flops_per_sentence(geometry, whole, LENGTHS)
        assert flops == pytest.approx(flops_per_sentence(geometry, left, LENGTHS) / of)
        counted = least_share(tiny, "parameters", LENGTHS, units=chosen, constraints=constraints)
        assert counted == pytest.approx(parameters(geometry, left) / geometry.parameters)


@pytest.mark.parametrize("measure", ["flops", "parameters"])
@pytest.mark.parametrize("units", [("heads", "neurons"), ("heads",), ("neurons",), ("sublayers",)])
def test_every_target_of_a_family_can_be_reached(
    tiny: Classifier, measure: Measure, units: tuple[Unit, ...]
) -> None:
    limits = Constraints(frozenset(parse_heads("L0H1")), 1)
    lengths = tiny.encode(DATA).lengths
    targets = family_targets(tiny, measure, lengths, units=units, constraints=limits)
    assert 3 <= len(targets) <= len(REDUCTIONS)
    assert sorted(targets, key=lambda one: -one.share) == list(targets)
    found = narrow_to(tiny, DATA, targets, "magnitude", units=units, constraints=limits)
    for one in found:
        assert one.cost <= one.target.share + 1e-9


def test_reductions_are_taken_where_they_can_be_reached(tiny: Classifier) -> None:
    targets = family_targets(tiny, "flops", LENGTHS)
    assert [1 / one.share for one in targets] == pytest.approx(list(REDUCTIONS))


def test_what_is_kept_of_a_search_is_all_but_the_weights(tiny: Classifier) -> None:
    found = narrow_to(tiny, DATA, [Target("flops", 0.5), Target("flops", 1.0)])
    half, whole = map(Member.of, found)
    assert unpacked(packed((half, whole))) == (half, whole)
    assert half.weights == found[0].weights.fingerprint
    assert half.settings == found[0].record()
    assert half.recovery is not None and half.recovery.settings == found[0].recovered.record()
    assert half.learnt_from == found[0].learnt_from
    assert (whole.weights, whole.recovery, whole.mask) == (None, None, tiny.full_mask())
    assert len(packed(half)) < 50_000
