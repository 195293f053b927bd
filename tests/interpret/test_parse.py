"""Dependency parses: by spaCy, of pairs, and of words given."""

from __future__ import annotations

import pytest

from bhpvas.errors import BhpvasError
from bhpvas.interpret.parse import Parsed, parse_texts
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


GERMAN = "Das Essen war kalt und der Kellner ist nicht freundlich gewesen."


def test_words_of_another_language_depend_on_none():
    english, german = parse_texts(["The cat sleeps.", GERMAN])
    assert not english.foreign and english.relations[0] == "det"
    assert german.foreign == (0,) and german.words[:3] == ("Das", "Essen", "war")
    assert german.heads == tuple(range(len(german))) and set(german.relations) == {""}
    (pair,) = parse_texts(["The cat sleeps."], [GERMAN])
    assert pair.foreign == (1,) and pair.relations[:4] == english.relations
    assert set(pair.relations[4:]) == {""}
    (asked,) = parse_texts([GERMAN], parser="en_core_web_sm")
    assert not asked.foreign and set(asked.relations) != {""}


def test_a_short_text_goes_with_those_that_it_stands_among():
    assert [parse.foreign for parse in parse_texts(["Wunderbar."])] == [()]
    assert [parse.foreign for parse in parse_texts(["Wunderbar."], among=[GERMAN])] == [(0,)]


def test_parses_say_what_parsed_them_and_how_many_were_foreign():
    english, german = parse_texts(["The cat sleeps.", GERMAN])
    both = Parsed.of([english, german])
    assert (both.sentences, both.texts, both.foreign) == (2, 2, 1)
    assert both.by == f"en_core_web_sm {both.parser.version} (en)"
    assert both.note("do it").startswith("1 of the 2 sentences is plainly not English, and en_core")
    assert both.note("do it").endswith("in it: do it.")
    assert Parsed.of([german]).note("do it").startswith("The text is plainly not English")
    assert Parsed.of([german] * 2).note("do it").startswith("The sentences are plainly not English")
    pair = Parsed.of(parse_texts(["The cat sleeps."] * 3, [GERMAN] * 3))
    assert (pair.sentences, pair.texts, pair.foreign) == (3, 6, 3)
    assert pair.note("do it").startswith("3 of the 6 texts are plainly not English")
    assert Parsed.of([english]).note("do it") == ""
    asked = Parsed.of(parse_texts([GERMAN], parser="en_core_web_sm"))
    assert asked.note("do it") == "" and asked.by.endswith("was not checked")


def test_a_parse_that_contradicts_itself_is_refused():
    with pytest.raises(BhpvasError, match="Word 1 of a parse depends on word 2"):
        parse_of_words(["good", "film"], [1, 2], ["amod", "ROOT"])
    with pytest.raises(BhpvasError, match="a head, a relation"):
        parse_of_words(["good", "film"], [1, 1], ["amod"])
