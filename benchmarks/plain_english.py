"""Texts that are taken for another language than English: ``python -m benchmarks.plain_english``.

Counted in the project's sample, in spaCy's examples of each language, and in files that are named,
of one text a line; by each text alone, and by 100 texts together that are drawn 200 times.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from operator import add
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import spacy.lang

import bhpvas
from bhpvas.interpret.language import Evidence, evidence_of
from bhpvas.interpret.parser import pipeline_named

TOGETHER, DRAWS = 100, 200
#: A text of fewer words shows its language only by chance.
WORDS = 8


def counted(name: str, texts: Sequence[str], vocabulary: frozenset[str]) -> str:
    """How many of the texts are foreign, as a row of the table."""
    found = [evidence_of(text, vocabulary) for text in texts]
    long = [one for one in found if one.words >= WORDS]
    rng, together = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        drawn = rng.choice(len(found), min(TOGETHER, len(found)), replace=False)
        together += reduce(add, (found[at] for at in drawn), Evidence()).foreign
    alone = f"{sum(one.foreign for one in found):,} of {len(found):,}"
    longer = f"{sum(one.foreign for one in long):,} of {len(long):,}"
    return f"{name:24}{alone:>20}{longer:>20}{together:>12} of {DRAWS}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="texts, one a line")
    given = parser.parse_args()
    known = pipeline_named(None).vocabulary
    sample = bhpvas.sample_splits()
    print(f"{'':24}{'foreign':>20}{f'of {WORDS}+ words':>20}{'100 together':>19}")
    print(counted("sample", [*sample.calibration.texts, *sample.evaluation.texts], known))
    for language in iter_modules(spacy.lang.__path__):
        try:
            texts = import_module(f"spacy.lang.{language.name}.examples").sentences
        except ModuleNotFoundError:
            continue  # it has no examples, or needs a package of its own
        print(counted(f"spaCy, {language.name}", texts, known))
    for path in given.files:
        texts = path.read_text(encoding="utf-8").splitlines()
        print(counted(path.stem, [text for text in texts if text.strip()], known))


if __name__ == "__main__":
    main()
