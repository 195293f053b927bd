"""What the tests of roles share: sentences, and the roles in maps made by hand."""

from __future__ import annotations

import pytest

from tests.interpret.roles.hand_made import FEW, grown_sentences, roles_of_maps, stacked


@pytest.fixture(scope="package")
def grown():
    return grown_sentences()


@pytest.fixture(scope="package")
def roles(grown):
    return roles_of_maps(stacked(grown), grown, settings=FEW)
