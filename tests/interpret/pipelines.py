"""spaCy pipelines made by hand: they find heads by a rule, and call relations as others do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc


@Language.factory(
    "chain_of_words",
    default_config={"relation": "nsubj:pass"},
    assigns=["token.dep", "token.head"],
)
def chain_of_words(nlp: Language, name: str, relation: str) -> Callable[[Doc], Doc]:
    """Every word depends on the one before it by a relation; marks are punctuation."""

    def chained(document: Doc) -> Doc:
        for token in document:
            token.head = document[max(token.i - 1, 0)]
            token.dep_ = "punct" if token.is_punct else relation if token.i else "root"
        return document

    return chained


def save_chain(folder: Path, language: str = "de", relation: str = "nsubj:pass") -> str:
    """A pipeline of a language with that rule, in a folder."""
    nlp = spacy.blank(language)
    nlp.add_pipe("chain_of_words", config={"relation": relation})
    nlp.to_disk(folder)
    return str(folder)


def save_trained(folder: Path) -> str:
    """A pipeline with spaCy's own parser, which has learnt next to nothing, in a folder."""
    from spacy.training import Example

    nlp = spacy.blank("de")
    parser = nlp.add_pipe("parser")
    for label in ("nsubj", "obj", "punct"):
        parser.add_label(label)
    words = {
        "words": ["Wir", "sehen", "Filme"],
        "heads": [1, 1, 1],
        "deps": ["nsubj", "ROOT", "obj"],
    }
    example = Example.from_dict(nlp.make_doc("Wir sehen Filme"), words)
    nlp.initialize(lambda: [example])
    nlp.to_disk(folder)
    return str(folder)
