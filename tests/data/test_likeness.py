"""Sentences that are the same to a model are alike, and stay in one part of a split."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bhpvas.data.dataset import Dataset
from bhpvas.data.parts import divided
from bhpvas.data.reading import read_splits, sample_splits
from bhpvas.data.sampling import copy_numbers, likeness, stratified_split
from bhpvas.model.classifier import load_classifier
from tests.data.csv_files import csv_file
from tests.tiny import SPECIAL, WORDS, tiny_tokenizer

NORMALIZERS = [
    *(
        normalizers.BertNormalizer(
            clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower
        )
        for clean, chinese, strip, lower in product((True, False), repeat=4)
    ),
    *(normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD()),
    *(normalizers.Lowercase(), normalizers.Strip(), normalizers.Nmt()),
    normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()]),
    normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]),
]
# Unicode has changed the category of two marks of the Vedas.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\u1cf2\u1cf3")
)


@given(TEXTS)
def test_a_text_is_like_what_any_normalizer_makes_of_it(text: str) -> None:
    """So texts of which it makes the same are alike, since each is like that."""
    for normalizer in NORMALIZERS:
        assert likeness(normalizer.normalize_str(text)) == likeness(text), normalizer


@given(TEXTS, st.sampled_from("NFC NFD NFKC NFKD".split()))
def test_a_text_is_like_itself_in_other_case_form_and_blanks(text: str, form) -> None:
    for other in (text.casefold(), text.lower(), unicodedata.normalize(form, text), f" {text}\t"):
        assert likeness(other) == likeness(text)
    assert likeness(" ".join(text)) == likeness(text)
    assert likeness(text + "\u0301") == likeness(text)


def cased() -> PreTrainedTokenizerFast:
    """Word pieces that tell case and accents apart."""
    words = [*WORDS, *map(str.title, WORDS), *map(str.upper, WORDS), "café", "cafe", *"CAFcafeé"]
    known = {token: row for row, token in enumerate(dict.fromkeys([*SPECIAL, *words]))}
    tokenizer = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


def of_bytes() -> PreTrainedTokenizerFast:
    """Single bytes, as pieces of a byte-level vocabulary without merges: nothing is the same."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE({letter: row for row, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@cache
def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    sample = load_classifier().tokenizer
    return {"sample": sample, "uncased": tiny_tokenizer(), "cased": cased(), "bytes": of_bytes()}


BLANKS = st.sampled_from(["", " ", "  ", "\t", "\u00a0", "\u3000", "\u200b", "\u00ad"])
WRITTEN = st.sampled_from(
    [str, str.title, str.upper, lambda word: "".join(f"{letter}\u0301" for letter in word)]
)
PIECES = st.lists(st.sampled_from([*WORDS, "café", "naïve", ",", "!"]), min_size=1, max_size=8)


@settings(max_examples=40)
@given(PIECES, st.data())
def test_what_has_the_same_tokens_is_alike(words: list[str], data: st.DataObject) -> None:
    def written() -> str:
        return "".join(data.draw(BLANKS) + data.draw(WRITTEN)(word) for word in words)

    one, other = written(), written()
    for name, tokenizer in tokenizers().items():
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (one, other)]
        if ids[0] == ids[1] and tokenizer.unk_token_id not in ids[0]:
            assert likeness(one) == likeness(other), name


@pytest.mark.parametrize("name", ["sample", "uncased"])
def test_there_is_something_to_keep_together(name: str) -> None:
    texts = ["This is, not good!", "this  IS,not\u00a0good !", "Thís is , not g\u00f3od!\u200b"]
    found = {tuple(tokenizers()[name](text)["input_ids"]) for text in texts}
    assert len(found) == 1 and len({*map(likeness, texts)}) == 1


def test_what_a_model_can_tell_apart_is_not_alike() -> None:
    texts = [
        "It is good.",
        "It is good!",
        "It is good",
        "Is it good.",
        "It is 9 good.",
        "今天",
        "今",
    ]
    assert len({*map(likeness, texts)}) == len(texts)


# --- splits


def written_alike(text: str, way: int) -> str:
    return (text, text.upper(), text.replace(".", " ."), f" {text}\u00a0", text + "\u0301")[way]


def test_what_is_alike_stays_in_one_part() -> None:
    rows = [
        f'"{written_alike(f"Lesson {n} was fine.", way)}",{n % 2}'
        for n in range(40)
        for way in range(1 + n % 5)
    ]
    splits = read_splits(csv_file("text,label", *rows), name="a.csv")
    learnt, measured = (
        {*map(likeness, part.texts)} for part in (splits.calibration, splits.evaluation)
    )
    assert len(learnt) + len(measured) == 40 and not learnt & measured


def test_of_pairs_both_halves_count() -> None:
    texts = ("One.", "ONE .", "One.", "one.")
    data = Dataset("two", texts, ("Two.", "two .", "Three.", "THREE."), [0] * 4, ("a", "b"))
    numbers = copy_numbers(data).tolist()
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]


def test_named_parts_that_overlap_but_for_case_and_blanks_say_so() -> None:
    rows = ["A fine day.,1,train", "A dull day.,0,train", "a FINE  day .,1,test", "Rain.,0,test"]
    splits = read_splits(csv_file("text,label,split", *rows), name="a.csv")
    assert splits.made.endswith("1 of the 2 to measure on also in calibration")


@pytest.mark.parametrize("seed", range(3))
def test_a_split_without_such_copies_is_that_of_exact_copies(seed: int, monkeypatch) -> None:
    data = sample_splits().evaluation
    found = stratified_split(data, 1 / 3, seed)
    monkeypatch.setattr("bhpvas.data.sampling.likeness", str)
    for one, other in zip(found, stratified_split(data, 1 / 3, seed), strict=True):
        assert one.fingerprint == other.fingerprint


def test_the_labels_of_what_is_alike_need_not_agree() -> None:
    texts = tuple(written_alike(f"Lesson {n // 2}.", n % 2) for n in range(40))
    data = Dataset("made", texts, None, np.arange(40) % 2, ("a", "b"))
    splits = divided(data, 1 / 3, 0)
    assert not np.isin(copy_numbers(splits.evaluation), copy_numbers(splits.calibration)).any()
