"""Numbers as texts: what is zero once it is rounded has no sign, in text, maps and reasons."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas import text
from bhpvas.cli.output import grid
from bhpvas.search import shares
from bhpvas.tasks.single_label import SingleLabel

TINY = [-1e-9, -0.0, 0.0, 1e-9]


@pytest.mark.parametrize("value", TINY)
def test_what_rounds_to_zero_has_no_sign(value):
    assert text.signed(value, 3) == "0.000"
    assert text.percent(value) == "0.0"
    assert text.interval(value, value) == "(0.0–0.0)"
    assert text.change_interval(value, value) == "(0.0 … 0.0)"
    assert text.median(value, value, value, 2) == "0.00 (0.00–0.00)"
    assert text.big(value) == "0"
    assert text.accuracy_change(0.5, 0.5 + value, 3).startswith("0.0 points (50.0 → 50.0,")
    assert text.relative_change(1.0, 1.0 + value) == "0%"


def test_no_map_of_a_command_shows_the_sign_of_a_zero():
    values = np.array([TINY, [-0.5, 0.5, -1.0, np.nan]])
    _, bottom, _ = grid(values, "+.1f").splitlines()
    assert bottom.split() == ["L0", "0.0", "0.0", "0.0", "0.0"]
    top, *_ = grid(values, "+.1f").splitlines()
    assert top.split() == ["L1", "-0.5", "+0.5", "-1.0", "×"]
    assert grid(values).splitlines()[1].split() == ["L0", *["0.0000"] * 4]


def test_a_divergence_that_is_there_is_not_shown_as_none():
    shown = [text.nats(value) for value in (0.0145, 0.00005, 0.000049, 3e-7, 0.0)]
    assert shown == ["0.0145", "0.0001", "4.9e−5", "3.0e−7", "0"]


def test_no_divergence_is_below_zero():
    draws = torch.Generator().manual_seed(0)
    for _ in range(50):
        logits = 5 * torch.randn(8, 3, generator=draws)
        shift = torch.rand(8, 1, generator=draws)  # the same answers, up to rounding
        assert shares.divergence(SingleLabel(tuple("abc")), logits, logits + shift) >= 0
