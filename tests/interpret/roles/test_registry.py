"""The registry of roles, and settings that make no sense."""

from __future__ import annotations

import pytest

from bhpvas.errors import BhpvasError
from bhpvas.interpret.roles import ROLES, RoleSettings


@pytest.mark.parametrize("wrong", [{"min_count": 0}, {"margin": 1.0}, {"level": -0.1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BhpvasError, match=r"must be|at least 1"):
        RoleSettings(**wrong)


def test_every_role_says_what_it_means(roles):
    assert {one.role for evidence in roles.evidence.values() for one in evidence} <= set(ROLES)
    for name, role in ROLES.items():
        assert role.name == name
        assert all((role.title, role.summary, role.rule, role.source, role.misleads))
