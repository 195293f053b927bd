"""A tokenizer is the model's, or refused; what it does not know is counted."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig

from bhpvas.cli.options import RunOptions, add_options
from bhpvas.data.dataset import Dataset
from bhpvas.errors import ModelError
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.encoding import MAX_UNKNOWN
from bhpvas.model.engine import predict
from bhpvas.model.families import FAMILIES
from tests.model.folders import change_config, change_json, change_weights, model_folder
from tests.project.nasty import refused
from tests.tiny import SPECIAL, WORDS

KNOWN = [word for word in WORDS if word.isalpha()]
CLASSES = {one.tokenizer.name: one.tokenizer for one in FAMILIES.values()}
TYPED = [name for name, family in FAMILIES.items() if family.typed]


def refused_by_both(folder: Path) -> str:
    said = refused(lambda: load_classifier(folder))
    assert refused(lambda: read_info(folder)) == said
    return said


def without_tokenizer(folder: Path) -> Path:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    return folder


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("files", sorted({one.files for one in CLASSES.values() if one.files}))
def test_files_of_another_class_are_no_tokenizer(
    tmp_path: Path, family: str, files: tuple[str, ...]
) -> None:
    folder = without_tokenizer(model_folder(tmp_path / "other", family))
    own = FAMILIES[family].tokenizer
    special = [own.padding, own.unknown, own.first, own.last, own.mask]
    for file in files:
        (folder / file).write_text("\n".join(special + WORDS))
    if files == ("vocab.txt",) == own.files:
        found = load_classifier(folder)
        assert read_info(folder).geometry == found.geometry
        assert found.encode_texts(["good film"]).lengths.tolist() == [4]
        return
    said = refused_by_both(folder)
    if files != own.files:
        assert own.name in said and all(file in said for file in (*own.files, *files))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("named", ["PreTrainedTokenizerFast", "TokenizersBackend"])
def test_a_class_of_a_file_alone_needs_it(tmp_path: Path, family: str, named: str) -> None:
    folder = model_folder(tmp_path / "alone", family)
    (folder / "tokenizer.json").rename(folder / "vocab.txt")
    change_json(folder, "tokenizer_config.json", tokenizer_class=named)
    assert "has no tokenizer.json, but vocab.txt" in refused_by_both(folder)


def without_words(document: dict[str, Any]) -> None:
    model = document["model"]
    model["vocab"] = {token: model["vocab"][token] for token in SPECIAL}


def one_too_many(document: dict[str, Any]) -> None:
    document["model"]["vocab"]["onemore"] = len(document["model"]["vocab"])


def a_number_too_large(document: dict[str, Any]) -> None:
    document["model"]["vocab"][WORDS[0]] = 1000


TOKENIZERS: dict[str, Any] = {
    "as it is": None,
    "without words": without_words,
    "one token too many": one_too_many,
    "a number too large": a_number_too_large,
    "another kind": lambda document: document["model"].update(type="WordLevel"),
    "no model": lambda document: document.pop("model"),
    "no kind": lambda document: document["model"].update(type="nosuch"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no class": {"tokenizer_class": None},
    **{f"class {name}": {"tokenizer_class": name} for name in CLASSES},
    "the older class": {"tokenizer_class": "BertTokenizerFast"},
    "a first token as older versions describe it": {
        "cls_token": {"content": "[CLS]", "__type": "AddedToken", "special": True}
    },
    "no padding": {"pad_token": None},
    "padding of another": {"pad_token": "<pad>"},
    "a first token that is described": {"cls_token": {"content": "[CLS]", "lstrip": False}},
    "more tokens": {"added_tokens_decoder": {"900": {"content": "<e1>", "special": False}}},
    "tokens of its own": {"added_tokens_decoder": {"2": {"content": "[CLS]", "special": True}}},
    "code of its own": {"auto_map": {"AutoTokenizer": ["own.Slow", "own.Fast"]}},
}


@pytest.mark.parametrize("how", SETTINGS)
@pytest.mark.parametrize("what", TOKENIZERS)
def test_info_refuses_the_tokenizers_that_loading_refuses(
    tmp_path: Path, what: str, how: str
) -> None:
    folder = model_folder(tmp_path / "odd")
    if change := TOKENIZERS[what]:
        document = json.loads((folder / "tokenizer.json").read_text())
        change(document)
        (folder / "tokenizer.json").write_text(json.dumps(document))
    change_json(folder, "tokenizer_config.json", **SETTINGS[how])
    try:
        found = load_classifier(folder)
    except ModelError:
        refused_by_both(folder)
    else:
        assert read_info(folder).geometry == found.geometry
        # Words are known: a tokenizer that cuts them into letters is not the model's.
        encoded = found.encode_texts([" ".join(KNOWN)])
        assert encoded.lengths.tolist() == [len(KNOWN) + encoded.special]
        assert encoded.unknown == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("more", "odd"), [(0, False), (18, False), (512, False), (513, True)])
def test_many_embeddings_without_a_token_are_said(
    tmp_path: Path, family: str, more: int, odd: bool
) -> None:
    folder = model_folder(tmp_path / "large", family)
    key = next(iter(FAMILIES[family].tensors(AutoConfig.from_pretrained(folder).to_dict())))
    rows = len(SPECIAL + WORDS) + more
    change_config(folder, vocab_size=rows)
    change_weights(folder, lambda found: found | {key: torch.cat([found[key]] * 13)[:rows]})
    notes = read_info(folder).notes
    assert notes == load_classifier(folder).notes
    expected = f"has {len(SPECIAL + WORDS)} tokens and the model embeddings for {rows}"
    assert [expected in note for note in notes] == [True] * odd


@pytest.mark.parametrize("place", ["", "tokenizer"])
def test_a_tokenizer_in_a_folder_of_the_model_is_named(tmp_path: Path, place: str) -> None:
    folder = model_folder(tmp_path / "apart")
    (folder / "tokenizer").mkdir()
    moved = (folder / "tokenizer.json").rename(folder / "tokenizer" / "tokenizer.json")
    if not place:
        moved.unlink()
    said = refused_by_both(folder)
    assert said.endswith("model, from the folder 'tokenizer' in it." if place else "to the model.")


ODD = [None, "x", -1, 0, 3.5, True, [], {}, [1], {"a": 1}, {"1": {}}, [{"id": "x"}], 10**9]
PLACES = {
    "tokenizer.json": [
        ("model",), ("added_tokens",), ("normalizer",), ("model", "vocab"), ("model", "type"),
        ("normalizer", "lowercase"), ("added_tokens", 0), ("added_tokens", 0, "id"),
    ],
    "tokenizer_config.json": [
        ("tokenizer_class",), ("auto_map",), ("added_tokens_decoder",), ("cls_token",),
        ("pad_token",), ("unk_token",), ("model_max_length",), ("do_lower_case",),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "place"), [(file, place) for file, places in PLACES.items() for place in places]
)
def test_whatever_a_tokenizer_holds_info_reads_what_loading_reads(
    tmp_path: Path, file: str, place: tuple[Any, ...]
) -> None:
    folder = model_folder(tmp_path / "odd")
    whole = (folder / file).read_text()
    for value in ODD:
        document = holder = json.loads(whole)
        for one in place[:-1]:
            holder = holder[one]
        holder[place[-1]] = value
        (folder / file).write_text(json.dumps(document))
        try:
            found = load_classifier(folder)
        except ModelError as error:
            assert refused(lambda: read_info(folder)) == str(error), value
        else:
            assert read_info(folder).geometry == found.geometry, value
            assert np.isfinite(predict(found, found.encode_texts(["good film"]))).all()


words = st.lists(st.sampled_from([*KNOWN, "qwxz", "Zürich", "\u200b", "😀"]), max_size=45)
sentences = st.lists(st.tuples(words.map(" ".join), words.map(" ".join)), min_size=1, max_size=6)


@given(sentences, st.booleans())
@settings(max_examples=60)
def test_unknown_tokens_and_empty_sentences_are_counted(
    classifier: Classifier, given: list[tuple[str, str]], paired: bool
) -> None:
    texts, pairs = ([one[part] for one in given] for part in (0, 1))
    found = classifier.encode_texts(texts, pairs if paired else None)
    special = 3 if paired else 2
    own = [
        [token for token in found.input_ids(row).tolist() if token not in (2, 3)]
        for row in range(len(found))
    ]
    whole = [
        classifier.tokenizer(text, pair if paired else None)["input_ids"] for text, pair in given
    ]
    assert found.unknown == sum(token == 1 for one in own for token in one)
    assert found.empty == sum(not one for one in own)
    assert found.truncated == sum(len(one) > 40 for one in whole)
    assert found.special == special
    tokens = sum(map(len, own))
    assert found.unknown_share == (found.unknown / tokens if tokens else 0)
    assert found.truncated_share == found.truncated / len(texts)
    labels = np.arange(len(texts)) % 2
    data = Dataset("some", tuple(texts), tuple(pairs) if paired else None, labels, ("a", "b"))
    worst = max(found.unknown_share, found.empty / len(texts))
    assert replace(classifier, max_unknown=worst).encode(data).unknown == found.unknown
    if worst:
        said = refused(lambda: replace(classifier, max_unknown=worst * 0.99).encode(data))
        assert "'some'" in said and "--max-unknown" in said
        assert f"{100 * worst:.0f}%" in said


def test_the_command_line_has_the_share_of_the_library() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_options(parser, RunOptions)
    assert parser.parse_args([]).max_unknown == MAX_UNKNOWN
    assert f"(default: {MAX_UNKNOWN})" in parser.format_help()


def test_a_tokenizer_that_cannot_say_unknown_is_a_sentence(
    tmp_path: Path, classifier: Classifier
) -> None:
    tokens = [*SPECIAL, "good", *"god"]
    tokenizer = Tokenizer(models.Unigram([(token, -1.0) for token in tokens], unk_id=None))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    fast = type(classifier.tokenizer)(
        tokenizer_file=str(tmp_path / "tokenizer.json"), pad_token="[PAD]", cls_token="[CLS]"
    )
    odd = replace(classifier, tokenizer=fast)
    assert odd.encode_texts(["good"]).unknown == 0
    assert "cannot read the sentences" in refused(lambda: odd.encode_texts(["qwxz"]))


def test_bytes_are_never_unknown(classifier: Classifier) -> None:
    letters = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *sorted(letters)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = type(classifier.tokenizer)(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", unk_token="[UNK]"
    )
    model = replace(classifier, tokenizer=fast)
    model.__dict__["_tables"] = replace(classifier._tables, tokens=len(vocabulary))
    found = model.encode_texts(["Zürich 😀", "qwxz"])
    assert (found.unknown, found.unknown_share, found.empty) == (0, 0, 0)
    assert found.lengths.tolist() == [14, 6]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("types", [1, 2, 3])
@pytest.mark.parametrize("paired", [False, True])
def test_types_beyond_the_table_never_end_a_pass(family: str, types: int, paired: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(Path(place) / "types", family)
        change_json(
            folder,
            "tokenizer_config.json",
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        )
        if family in TYPED:
            key = f"{FAMILIES[family].base}.embeddings.token_type_embeddings.weight"
            change_config(folder, type_vocab_size=types)
            change_weights(folder, lambda found: found | {key: torch.cat([found[key]] * 3)[:types]})
        found = load_classifier(folder)
        encoded = found.encode_texts(["good film"], ["a dull book"] if paired else None)
        kinds = encoded.token_type_ids(0).tolist()
        assert max(kinds) == int(paired and types > 1 and family in TYPED)
        assert np.isfinite(predict(found, encoded)).all()


@pytest.mark.parametrize("family", TYPED)
@given(kind=st.integers(0, 5), types=st.integers(1, 3))
@settings(max_examples=10)
def test_a_type_that_the_model_lacks_is_a_sentence(family: str, kind: int, types: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(Path(place) / "types", family)
        key = f"{FAMILIES[family].base}.embeddings.token_type_embeddings.weight"
        change_config(folder, type_vocab_size=types)
        change_weights(folder, lambda found: found | {key: torch.cat([found[key]] * 3)[:types]})
        document = json.loads((folder / "tokenizer.json").read_text())
        for piece in document["post_processor"]["pair"][3:]:
            next(iter(piece.values()))["type_id"] = kind
        (folder / "tokenizer.json").write_text(json.dumps(document))
        change_json(
            folder,
            "tokenizer_config.json",
            tokenizer_class="PreTrainedTokenizerFast",
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        )
        found = load_classifier(folder)
        if types == 1 or kind < types:
            encoded = found.encode_texts(["good film"], ["a dull book"])
            assert encoded.token_type_ids(0).max() == (kind if types > 1 else 0)
            assert np.isfinite(predict(found, encoded)).all()
        else:
            said = refused(lambda: found.encode_texts(["good film"], ["a dull book"]))
            assert f"token type number {kind}, and the model knows {types}" in said


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_an_input_shorter_than_its_special_tokens_is_a_sentence(
    tmp_path: Path, longest: int
) -> None:
    folder = model_folder(tmp_path / "short")
    change_json(folder, "tokenizer_config.json", model_max_length=longest)
    found = load_classifier(folder)
    for pairs, special in ((None, 2), (["a book"], 3)):
        if special > longest:
            said = refused(lambda pairs=pairs: found.encode_texts(["good film"], pairs))
            assert f"reads {longest} tokens, and its tokenizer adds {special}" in said
        else:
            encoded = found.encode_texts(["good film"], pairs)
            assert encoded.lengths.tolist() == [longest]
            assert np.isfinite(predict(found, encoded)).all()
