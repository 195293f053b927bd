"""spaCy pipelines made by hand: they find heads by a rule, and call relations as others do."""

from __future__ import annotations

from pathlib import Path

import spacy
from spacy.language import Language


@Language.component("chain_of_words", assigns=["token.dep", "token.head"])
def chain_of_words(document):
    """Every word depends on the one before it: a subject on the root, marks are punctuation."""
    for token in document:
        token.head = document[max(token.i - 1, 0)]
        token.dep_ = "punct" if token.is_punct else "nsubj:pass" if token.i else "root"
    return document


def save_chain(folder: Path, language: str = "de") -> str:
    """A pipeline of a language with that rule, in a folder."""
    nlp = spacy.blank(language)
    nlp.add_pipe("chain_of_words")
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
