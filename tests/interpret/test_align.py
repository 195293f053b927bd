"""Alignment of word pieces to words, and attention between words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from bhpvas.data.dataset import Dataset
from bhpvas.interpret.align import Sentence, align, sentences_of
from bhpvas.interpret.parse import Parse, parse_texts
from tests.conftest import TEXTS
from tests.interpret.pipelines import save_chain
from tests.interpret.roles.hand_made import parse_of_words

# Letters with and without accents (one and two code points), contractions, signs, scripts, emoji.
LETTERS = "abnétÉ中'’-.,!?$…\u0301\u200b👍🏽😀ß "
LIMIT = 16


def letters_tokenizer() -> PreTrainedTokenizerFast:
    """BERT's way: lower case, accents stripped, words cut into one-letter pieces."""
    plain = sorted(set("abnetei中'’-.,!?$…ßss") | {chr(code) for code in range(97, 123)})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cannot", *plain, *(f"##{one}" for one in plain)]
    tokenizer = Tokenizer(
        models.WordPiece({token: at for at, token in enumerate(tokens)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        unk_token="[UNK]",
    )  # fmt: skip


def bytes_tokenizer() -> PreTrainedTokenizerFast:
    """RoBERTa's way: every byte a piece, with the blank before a word as part of it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<pad>", "<unk>", "<s>", "</s>", *alphabet]
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 3), ("<s>", 2), trim_offsets=True, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", pad_token="<pad>",
        unk_token="<unk>",
    )  # fmt: skip


TOKENIZERS = {"letters": letters_tokenizer(), "bytes": bytes_tokenizer()}


@st.composite
def parses(draw) -> Parse:
    """A text cut into words at blanks and at any other place."""
    text = draw(st.text(LETTERS, max_size=24))
    cuts = draw(st.sets(st.integers(0, len(text))))
    spans, start = [], None
    for at, letter in enumerate(text + " "):
        if start is not None and (letter == " " or at in cuts):
            spans.append((start, at))
            start = None
        if start is None and letter != " ":
            start = at
    size = len(spans)
    heads = draw(st.lists(st.integers(0, max(size - 1, 0)), min_size=size, max_size=size))
    return Parse(
        texts=(text,),
        words=tuple(text[a:b] for a, b in spans),
        spans=tuple(spans),
        heads=tuple(heads),
        relations=("x",) * size,
        sides=(0,) * size,
    )


def encode(tokenizer, parse: Parse, limit: int | None = LIMIT):
    return tokenizer(
        *parse.texts,
        truncation=limit is not None,
        max_length=limit,
        return_offsets_mapping=True,
    ).encodings[0]


def sentence_of(parse: Parse, encoding) -> Sentence:
    return Sentence.aligned(
        parse, encoding.tokens, encoding.ids, encoding.offsets, encoding.sequence_ids,
        np.zeros(len(encoding.ids), dtype=bool),
    )  # fmt: skip


def slow_owner(parse: Parse, span: tuple[int, int], side: int | None) -> int:
    """The word with the most characters in common, the first on a tie, −1 if there are none."""
    shared = Counter(
        word
        for word, ((start, end), word_side) in enumerate(zip(parse.spans, parse.sides, strict=True))
        for letter in range(*span)
        if word_side == side and start <= letter < end
    )
    return min(shared, key=lambda word: (-shared[word], word), default=-1)


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(data=st.data())
def test_each_piece_belongs_to_the_word_it_shares_most_characters_with(kind, data):
    parse = data.draw(parses())
    if data.draw(st.booleans()):
        parse = parse.joined(data.draw(parses()))
    encoding = encode(TOKENIZERS[kind], parse)
    found = align(parse, encoding.offsets, encoding.sequence_ids)
    assert len(found) == len(encoding.ids) <= LIMIT
    for owner, span, side in zip(found, encoding.offsets, encoding.sequence_ids, strict=True):
        assert owner == slow_owner(parse, span, side)
        assert owner == -1 or parse.sides[owner] == side
        # A piece that shows any letter of a word cannot be without a word.
        visible = side is not None and parse.texts[side][slice(*span)].strip(" ")
        assert (owner >= 0) == bool(visible)
    owned = found[found >= 0]
    assert (np.diff(owned) >= 0).all()


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(parse=parses())
def test_a_cut_sentence_keeps_the_alignment_of_what_is_left(kind, parse):
    whole = sentence_of(parse, encode(TOKENIZERS[kind], parse, None))
    cut = sentence_of(parse, encode(TOKENIZERS[kind], parse))
    if len(whole) <= LIMIT:
        np.testing.assert_array_equal(cut.word_of, whole.word_of)
    else:
        np.testing.assert_array_equal(cut.word_of[:-1], whole.word_of[: LIMIT - 1])
        assert cut.word_of[-1] == -1
    assert set(np.flatnonzero(cut.seen)) == set(cut.word_of) - {-1}


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(data=st.data())
def test_word_level_rows_sum_to_one(kind, data):
    parse = data.draw(parses())
    sentence = sentence_of(parse, encode(TOKENIZERS[kind], parse))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    maps = rng.dirichlet(np.full(len(sentence), 0.3), size=(2, 3, len(sentence)))
    found = sentence.word_attention(maps)
    units = len(sentence.unit_names)
    assert found.shape == (2, 3, units, units)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-9)
    # Every unit is one word or one token, and each seen word is exactly one unit.
    assert sorted(sentence.unit_words[sentence.unit_words >= 0]) == list(
        np.flatnonzero(sentence.seen)
    )
    for query, key in [(0, 0), (0, units - 1), (units - 1, units // 2)]:
        rows = [at for at, unit in enumerate(sentence.unit_of) if unit == query]
        columns = [at for at, unit in enumerate(sentence.unit_of) if unit == key]
        expected = np.mean([sum(maps[1, 2, row, column] for column in columns) for row in rows])
        assert found[1, 2, query, key] == pytest.approx(expected)


CASES = {
    "contractions": ("it can't.", ["it", "ca", "n't", "."], {"can't": ["ca", "n't", "n't"]}),
    "one piece over two words": ("i cannot", ["i", "can", "not"], {"cannot": ["can"]}),
    "accents": ("an été", ["an", "été"], {"été": ["été"] * 3}),
    "accents of two code points": ("a e\u0301t", ["a", "e\u0301t"], {"e\u0301t": ["e\u0301t"] * 2}),
    "emoji": ("a 👍🏽 b", ["a", "👍", "🏽", "b"], {"👍🏽": ["👍"]}),
}


@pytest.mark.parametrize("case", CASES)
def test_alignment_by_hand(case):
    text, words, expected = CASES[case]
    (parse,) = parse_texts([text])
    assert list(parse.words) == words
    tokenizer = TOKENIZERS["letters"]
    if case == "contractions":
        encoding = encode(tokenizer, parse)
        pieces = ["[CLS]", "i", "##t", "c", "##a", "##n", "'", "t", ".", "[SEP]"]
        assert encoding.tokens == pieces
        by_hand = [-1, 0, 0, 1, 1, 2, 2, 2, 3, -1]
        np.testing.assert_array_equal(sentence_of(parse, encoding).word_of, by_hand)
        return
    encoding = encode(tokenizer, parse)
    sentence = sentence_of(parse, encoding)
    for part, owners in expected.items():
        start = text.index(part)
        inside = [
            parse.words[owner]
            for owner, (first, last) in zip(sentence.word_of, encoding.offsets, strict=True)
            if start <= first < last <= start + len(part)
        ]
        assert inside == owners


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_text_without_blanks_is_aligned_by_its_letters(kind, tmp_path):
    text = "中中、中👍𠮷。"
    english, by_letter = (
        parse_texts([text], parser=parser)[0]
        for parser in ("en_core_web_sm", save_chain(tmp_path / "chain", "zh"))
    )
    assert by_letter.words == tuple(text)
    for parse in (english, by_letter):
        encoding = encode(TOKENIZERS[kind], parse, None)
        sentence = sentence_of(parse, encoding)
        for owner, span, side in zip(
            sentence.word_of, encoding.offsets, encoding.sequence_ids, strict=True
        ):
            assert owner == slow_owner(parse, span, side)
        assert sentence.seen.any()


def test_units_carry_names_in_the_order_of_the_text():
    parse = parse_of_words(["no", "way"], [1, 1], ["det", "ROOT"])
    sentence = Sentence(
        parse,
        tokens=("[CLS]", "no", "wa", "##y", "[SEP]"),
        token_ids=np.arange(5),
        word_of=np.array([-1, 0, 1, 1, -1], dtype=np.int16),
        parts=np.array([1, 0, 0, 0, 2], dtype=np.int8),
    )
    assert sentence.unit_names == ("[CLS]", "no", "way", "[SEP]")
    assert sentence.unit_of.tolist() == [0, 1, 2, 2, 3]
    assert sentence.unit_words.tolist() == [-1, 0, 1, -1]
    maps = np.array(
        [
            [0.2, 0.2, 0.3, 0.1, 0.2],
            [0.2, 0.2, 0.3, 0.1, 0.2],
            [0, 0, 1, 0, 0],
            [0, 1, 0, 0, 0],
            [1, 0, 0, 0, 0],
        ]
    )
    np.testing.assert_allclose(
        sentence.word_attention(maps),
        np.array([[0.2, 0.2, 0.4, 0.2], [0.2, 0.2, 0.4, 0.2], [0, 0.5, 0.5, 0], [1, 0, 0, 0]]),
    )


def test_sentences_have_the_tokens_that_the_network_reads(classifier):
    long = "the film is good . " * 20
    texts = (*TEXTS[:3], "we [SEP] like it", long, "👍 Très good !")
    for pairs in (None, (*texts[1:], "the meal")):
        labels = np.zeros(len(texts), dtype=int)
        dataset = Dataset("some", texts, pairs, labels, ("negative", "positive"))
        encoded = classifier.encode(dataset)
        sentences = sentences_of(classifier, dataset)
        for ids, sentence in zip(
            map(encoded.input_ids, range(len(encoded))), sentences, strict=True
        ):
            np.testing.assert_array_equal(sentence.token_ids, ids)
            special = np.isin(ids, [2, 3])
            np.testing.assert_array_equal(np.isin(sentence.parts, (1, 2)), special)
            np.testing.assert_array_equal(sentence.parts == 3, classifier.punctuation[ids])
            np.testing.assert_array_equal(sentence.word_of >= 0, ~special)
        assert len(sentences[4].parse) > sentences[4].seen.sum()
