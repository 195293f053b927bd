"""Evidence: what is too little to have a role."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bhpvas.interpret.roles import RoleSettings
from tests.interpret.roles.hand_made import FEW, HEAD, roles_of_maps, stacked


def test_random_attention_has_no_role(grown):
    rng = np.random.default_rng(1)
    maps = [rng.dirichlet(np.full(len(one), 0.3), (3, 8, len(one))) for one in grown]
    assert roles_of_maps(maps, grown, settings=FEW).carriers() == {}


def test_few_dependents_are_counted_and_not_judged(grown):
    found = roles_of_maps(stacked(grown), grown, settings=RoleSettings(min_count=361))
    far = found.relations["far"]
    assert far.count == 360 and not far.judged and np.isnan(far.p).all()
    assert far.accuracies[0, 0, HEAD["head"].head] == 1
    assert found.label(HEAD["head"]) != "syntactic: far"
    at_the_line = roles_of_maps(stacked(grown), grown, settings=RoleSettings(min_count=360))
    assert at_the_line.relations["far"].judged
    assert at_the_line.label(HEAD["head"]) == "syntactic: far"


def test_a_small_gain_is_no_role_whatever_its_test(roles, grown):
    far = roles.relations["far"]
    need = 1 - far.baseline
    strict = roles_of_maps(stacked(grown), grown, settings=replace(FEW, margin=need + 0.01))
    assert "syntactic: far" not in strict.carriers()
    exact = roles_of_maps(stacked(grown), grown, settings=replace(FEW, margin=need - 0.01))
    assert exact.carriers()["syntactic: far"] == (HEAD["head"], HEAD["dependents"])


def test_tags_fit_a_cell(roles):
    tags = {one.tag for found in roles.evidence.values() for one in found}
    assert {"far", "prev", "next", "self", "SEP", "CLS"} <= tags
