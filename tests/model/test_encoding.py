"""Encoding of texts against the tokenizer's own, and what its tokens are."""

from __future__ import annotations

import dataclasses
import string
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bhpvas.data.dataset import Dataset
from bhpvas.model.classifier import load_classifier
from tests.conftest import TEXTS
from tests.tiny import CONFIGS, save_tiny


def test_long_sentences_are_cut_and_counted(classifier):
    limit = classifier.geometry.max_length
    encoded = classifier.encode_texts(["good " * (limit - 2), "good " * (limit - 1), "good"])
    assert list(encoded.lengths) == [limit, limit, 3]
    assert encoded.truncated == 1


def test_texts_are_tokenised_in_parts(tmp_path, monkeypatch):
    for family in CONFIGS:
        classifier = load_classifier(save_tiny(tmp_path / family, family))
        for pairs in (None, TEXTS[::-1]):
            whole = classifier.encode_texts(TEXTS, pairs)
            for bound in ("_TEXTS_AT_ONCE", "_CHARACTERS_AT_ONCE"):
                monkeypatch.setattr(f"bhpvas.model.encoding.{bound}", 5)
                parts = classifier.encode_texts(TEXTS, pairs)
                monkeypatch.undo()
                assert (parts.fingerprint, parts.truncated) == (whole.fingerprint, whole.truncated)
            for row, text in enumerate(TEXTS):
                one = classifier.tokenizer(
                    text, pairs and pairs[row], truncation=True, max_length=40
                )
                np.testing.assert_array_equal(parts.input_ids(row), one["input_ids"])
                kinds = one.get("token_type_ids", [0] * len(one["input_ids"]))
                np.testing.assert_array_equal(parts.token_type_ids(row), kinds)


class Counting:
    """A tokenizer that writes down how many characters it is given at once."""

    def __init__(self, tokenizer):
        self.tokenizer, self.given = tokenizer, []

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def __call__(self, texts, pairs, **settings):
        self.given.append(sum(map(len, texts)) + sum(map(len, pairs or ())))
        return self.tokenizer(texts, pairs, **settings)


def test_long_texts_are_tokenised_a_few_at_once(classifier):
    counting = Counting(classifier.tokenizer)
    long = replace(classifier, tokenizer=counting)
    for pairs, at_once in ((None, 6), (("! " * 10_000,) * 14, 3)):
        counting.given.clear()
        found = long.encode_texts(("! " * 10_000,) * 14, pairs)
        assert found.truncated == 14
        one = 20_000 if pairs is None else 40_000
        assert max(counting.given) == at_once * one <= 2**17
        assert sum(counting.given) == 14 * one


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_are_cut_as_the_tokenizer_cuts(tmp_path, family, side):
    """Against its own truncation, of short and long texts, singly and in pairs."""
    classifier = load_classifier(save_tiny(tmp_path, family))
    classifier.tokenizer.truncation_side = side
    most = classifier.geometry.max_length
    words = " ".join(TEXTS).split()
    texts = [" ".join((words * 9)[start : start + n]) for start, n in enumerate(range(1, 90, 4))]
    every = [(text, None) for text in texts] + [(a, b) for a in texts for b in texts]
    for single in (True, False):
        some = [pair for pair in every if (pair[1] is None) == single]
        found = classifier.encode_texts(
            [text for text, _ in some], None if single else [other for _, other in some]
        )
        assert 0 < found.truncated < len(some)
        for row, (text, other) in enumerate(some):
            one = classifier.tokenizer(text, other, truncation=True, max_length=most)
            assert found.input_ids(row).tolist() == one["input_ids"]
            kinds = one.get("token_type_ids") or [0] * len(one["input_ids"])
            assert found.token_type_ids(row).tolist() == kinds
            assert found.lengths[row] == len(one["input_ids"])


def test_tokens_are_counted_up_to_a_bound(classifier):
    counting = Counting(classifier.tokenizer)
    counted = replace(classifier, tokenizer=counting)
    data = Dataset("long", ("! " * 10_000,) * 14, None, [0, 1] * 7, ("no", "yes"))
    whole = classifier.encode(data).lengths  # 40 tokens each
    np.testing.assert_array_equal(counted.lengths(data), whole)
    np.testing.assert_array_equal(counted.lengths(data, int(whole.sum())), whole)
    counting.given.clear()
    found = counted.lengths(data, 6 * 40)
    np.testing.assert_array_equal(found, whole[:12])
    assert len(counting.given) == 2


def test_punctuation_is_told_from_words(classifier):
    tokens = classifier.tokenizer.convert_ids_to_tokens(
        list(np.flatnonzero(classifier.punctuation))
    )
    assert sorted(tokens) == sorted([",", ".", "!", "?", "'", "-"])


def test_punctuation_of_byte_level_pieces_is_that_of_their_characters(classifier):
    """RoBERTa's vocabulary has a dash as three letters that stand for its bytes."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    punctuation = ["’", "“", "”", "—", "–", "…", "!", " —", " .", "€", "...”"]
    words = ["é", "ß", "日", " film", "n’t", "ª"]
    piece = {
        text: "".join(token for token, _ in level.pre_tokenize_str(text))
        for text in punctuation + words
    }
    vocabulary = ["<pad>", *piece.values()]
    vocabulary += sorted({*pre_tokenizers.ByteLevel.alphabet()} - {*vocabulary})
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(vocabulary)}, []))
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")
    found = dataclasses.replace(classifier, tokenizer=fast).punctuation
    told = {token for token, one in zip(vocabulary, found, strict=True) if one}
    assert told == {piece[text] for text in punctuation} | {*string.punctuation}
