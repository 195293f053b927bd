"""Count of the nasty files: that many, and no two alike."""

from __future__ import annotations

import hashlib
import json

from tests.project.nasty.test_models import MODELS
from tests.project.nasty.test_schemes import SCHEMES, WEIGHTS, ZIPS
from tests.project.nasty.test_tables import TABLES
from tests.tiny import CONFIGS


def test_the_corpus_holds_what_it_says() -> None:
    contents = [content for _, _, content in TABLES]
    contents += [
        json.dumps(sorted((n, repr(c)) for n, c in files.items())).encode() for _, files in MODELS
    ]
    contents += [content for _, content in [*SCHEMES, *ZIPS, *WEIGHTS]]
    assert len({hashlib.sha256(content).digest() for content in contents}) >= 300
    assert set(CONFIGS) >= {"bert"}
