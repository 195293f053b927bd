"""Roles found: who carries a role before and after a change of the mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bhpvas.errors import BhpvasError
from bhpvas.interpret.roles import role_changes
from tests.interpret.roles.hand_made import FEW, HEAD, roles_of_maps, stacked


def test_what_a_scheme_removes_and_what_nobody_carries(roles):
    every = roles.carriers()
    mask = roles.mask.without([HEAD["head"], HEAD["[SEP]"], HEAD["uniform"]])
    changes = {one.label: one for one in role_changes(roles, mask)}
    assert set(changes) == set(every)
    assert changes["syntactic: far"].before == (HEAD["head"], HEAD["dependents"])
    assert changes["syntactic: far"].after == (HEAD["dependents"],)
    assert not changes["syntactic: far"].lost
    assert {label for label, one in changes.items() if one.lost} == {"broad", "delimiter: [SEP]"}
    untouched = role_changes(roles, roles.mask)
    assert all(one.before == one.after and not one.lost for one in untouched)


def test_a_role_can_move_to_another_head(roles, grown):
    mask = roles.mask.without([HEAD["uniform"]])
    moved = [np.roll(one, 1, axis=1) for one in stacked(grown)]
    after = replace(roles_of_maps(moved, grown, settings=FEW), mask=mask)
    changes = {one.label: one for one in role_changes(roles, mask, after)}
    assert changes["broad"].before == (HEAD["uniform"],)
    assert changes["broad"].after == (HEAD["[SEP]"],)
    with pytest.raises(BhpvasError, match="another mask"):
        role_changes(roles, roles.mask, after)
