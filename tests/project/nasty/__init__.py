"""Nasty files: each is answered by one sentence, and leaves nothing behind.

Every case of the corpus is distinct in its bytes; ``test_corpus.py`` counts them. What is random,
and what is nasty only in one reader's own way, is tested beside that reader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bhpvas.errors import BhpvasError

LONGEST = 700


def refused(read: Callable[[], Any]) -> str:
    """What is said of something that cannot be used: one plain sentence."""
    with pytest.raises(BhpvasError) as error:
        read()
    said = str(error.value)
    assert said.strip()
    assert "\n" not in said
    assert "Traceback" not in said
    assert len(said) < LONGEST, said
    return said
