"""A class of tokenizers and its files: what each says, and which is read."""

from __future__ import annotations

import codecs
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.engine import predict
from bhpvas.model.families import FAMILIES
from tests.model.folders import change_config, change_json, change_weights, model_folder
from tests.model.test_tokenizer import refused_by_both, without_tokenizer
from tests.tiny import SPECIAL, WORDS

CLEANING = {
    ("normalizer", "lowercase"): ("do_lower_case", True, "GOOD"),
    ("normalizer", "strip_accents"): ("strip_accents", None, "g\u00f3\u00f4d"),
    ("normalizer", "handle_chinese_chars"): ("tokenize_chinese_chars", True, "good\u4e2d"),
}


@pytest.mark.parametrize("stated", [None, True, False])
@pytest.mark.parametrize("taken", [None, True, False])
@pytest.mark.parametrize("what", CLEANING)
@pytest.mark.parametrize("named", ["BertTokenizer", "PreTrainedTokenizerFast"])
def test_what_the_class_does_to_texts_is_as_the_note_says(
    tmp_path: Path, stated: bool | None, taken: bool | None, what: tuple[str, str], named: str
) -> None:
    setting, default, text = CLEANING[what]
    if default is not None and stated is None:
        return
    folder = model_folder(tmp_path / "cased")
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text())
    document[what[0]][what[1]] = stated
    file.write_text(json.dumps(document))
    more = {} if taken is None else {setting: taken}
    change_json(folder, "tokenizer_config.json", tokenizer_class=named, **more)
    found = load_classifier(folder)
    assert found.notes == read_info(folder).notes
    by_class, by_file = found.encode_texts([text]), Tokenizer.from_file(str(file)).encode(text)
    used = taken if taken is not None else default
    assert len(found.notes) == (named == "BertTokenizer" and used is not stated)
    if not found.notes:
        assert by_class.tokens[:].tolist() == by_file.ids
    else:
        assert f"{what[1]}: {json.dumps(stated)}, and the class" in found.notes[0]
        change_json(folder, "tokenizer_config.json", **{setting: stated})  # as the note says
        again = load_classifier(folder)
        assert not again.notes and again.encode_texts([text]).tokens[:].tolist() == by_file.ids


NORMALIZERS: dict[str, Any] = {
    "none": None,
    "lower case": {"type": "Lowercase"},
    "a sequence": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
}


@pytest.mark.parametrize("what", NORMALIZERS)
def test_a_normalizer_of_ones_own_is_said(tmp_path: Path, what: str) -> None:
    folder = model_folder(tmp_path / "own")
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"normalizer": NORMALIZERS[what]}))
    stated = Tokenizer.from_file(str(file)).encode("GOOD, g\u00f3od").ids
    change_json(folder, "tokenizer_config.json", tokenizer_class="BertTokenizer")
    found = load_classifier(folder)
    assert found.notes == read_info(folder).notes
    [said] = found.notes
    assert found.encode_texts(["GOOD, g\u00f3od"]).tokens[:].tolist() != stated
    key, value = re.findall('"(.*?)"', said)
    change_json(folder, "tokenizer_config.json", **{key: value})
    again = load_classifier(folder)
    assert not again.notes
    assert again.encode_texts(["GOOD, g\u00f3od"]).tokens[:].tolist() == stated


BYTES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]


def byte_level(folder: Path, tokens: list[str], **cutting: Any) -> Path:
    """A model with a tokenizer of bytes, without settings."""
    model_folder(folder, "roberta")
    tokenizer = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(**cutting)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}")
    change_config(folder, vocab_size=len(tokens))
    rows = torch.randn(len(tokens), 32)
    change_weights(folder, lambda held: held | {"roberta.embeddings.word_embeddings.weight": rows})
    return folder


@pytest.mark.parametrize("lacking", BYTES[:5])
def test_tokens_that_the_class_adds_need_embeddings(tmp_path: Path, lacking: str) -> None:
    folder = byte_level(tmp_path / "bytes", [token for token in BYTES if token != lacking])
    assert f"was given 1 token ({lacking!r} first)" in refused_by_both(folder)


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("taken", [None, True, False])
def test_a_space_before_a_text_is_as_the_note_says(
    tmp_path: Path, stated: bool, taken: bool | None
) -> None:
    folder = byte_level(tmp_path / "bytes", BYTES, add_prefix_space=stated)
    if taken is not None:
        change_json(folder, "tokenizer_config.json", add_prefix_space=taken)
    found = load_classifier(folder)
    assert found.notes == read_info(folder).notes
    spaced = found.encode_texts(["good"]).lengths[0] == 2 + len(" good")
    assert spaced == bool(taken)
    assert len(found.notes) == (stated != bool(taken))


@pytest.mark.parametrize("family", ["albert", "xlm-roberta"])
@pytest.mark.parametrize("lacking", [None, "sentencepiece", "google.protobuf"])
def test_pieces_that_cannot_be_opened_are_not_called_another_librarys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, lacking: str | None
) -> None:
    folder = without_tokenizer(model_folder(tmp_path / "pieces", family))
    [file] = FAMILIES[family].tokenizer.files
    (folder / file).write_bytes(b"abc" * 50)
    if lacking:
        monkeypatch.setitem(sys.modules, lacking, None)
    said = refused_by_both(folder)
    assert "tiktoken" not in said and file in said
    assert ("pip install sentencepiece protobuf" in said) == bool(lacking)
    assert said.endswith("is damaged): save or download it again.") == (not lacking)


FRENCH = ("le film est bon .", "je n'aime pas ce livre , il est long !", "une belle soirée")


@pytest.mark.parametrize("layout", ["sentencepiece.bpe.model", "tokenizer.json"])
def test_camembert_is_read_as_it_is_published(tmp_path: Path, layout: str) -> None:
    """Its first tokens are not the pieces': <s> is the number 5, and padding the number 1."""
    pieces = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    folder, made = without_tokenizer(model_folder(tmp_path / "fr", "camembert")), io.BytesIO()
    pieces.SentencePieceTrainer.train(
        sentence_iterator=iter(FRENCH * 9), model_writer=made, vocab_size=50,
        model_type="unigram", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "sentencepiece.bpe.model").write_bytes(made.getvalue())
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 38}')
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if layout == "tokenizer.json":
        (folder / "sentencepiece.bpe.model").unlink()
        tokenizer.save_pretrained(folder)
    table, rows = "roberta.embeddings.word_embeddings.weight", torch.randn(len(tokenizer), 32)
    change_weights(folder, lambda held: held | {table: rows})
    change_config(folder, vocab_size=len(tokenizer), pad_token_id=1)
    found = load_classifier(folder)
    assert found.geometry == read_info(folder).geometry and found.geometry.max_length == 38
    encoded = found.encode_texts([*FRENCH, "zqx"])
    assert [encoded.input_ids(0)[0], encoded.input_ids(0)[-1]] == [5, 6]
    assert encoded.unknown >= 1 and found.tokenizer.pad_token_id == 1
    inputs = found.tokenizer([*FRENCH, "zqx"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = found.model(**inputs).logits
    np.testing.assert_allclose(predict(found, encoded), expected, atol=1e-5)


@pytest.mark.parametrize("rule", ["nmt_nfkc", "identity"])
@pytest.mark.parametrize("layout", ["spm.model", "tokenizer.json"])
def test_characters_that_a_class_does_not_replace_are_a_note(
    tmp_path: Path, layout: str, rule: str
) -> None:
    """As v3 is published, by spm.model alone, and as transformers 4 saves it."""
    pieces = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    folder, made = without_tokenizer(model_folder(tmp_path / "v3", "deberta-v2")), io.BytesIO()
    texts = ("the film is good ...", "we do not like this book , it is long", "fine ?")
    pieces.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 9), model_writer=made, vocab_size=50, model_type="unigram",
        hard_vocab_limit=False, minloglevel=2, normalization_rule_name=rule,
        pad_id=0, bos_id=1, eos_id=2, unk_id=3,
        pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
    )  # fmt: skip
    (folder / "spm.model").write_bytes(made.getvalue())
    settings = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "cls", "sep", "unk")}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if layout == "tokenizer.json":
        spm = pieces.SentencePieceProcessor(model_proto=made.getvalue())
        charsmap = _charsmap(made.getvalue())
        inner = tokenizer.backend_tokenizer
        if charsmap:
            inner.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap)])
        inner.save(str(folder / layout))
        (folder / "spm.model").unlink()
        assert spm.encode("film") == inner.encode("film", add_special_tokens=False).ids
    table, rows = "deberta.embeddings.word_embeddings.weight", torch.randn(len(tokenizer), 32)
    change_weights(folder, lambda held: held | {table: rows})
    change_config(folder, vocab_size=len(tokenizer))
    found = load_classifier(folder)
    assert found.notes == read_info(folder).notes
    assert len(found.notes) == (rule == "nmt_nfkc")
    same = [found.encode_texts([text]).tokens[:].tolist() for text in ("film...", "film\u2026")]
    assert same[0] != same[1]
    if found.notes and layout == "tokenizer.json":
        key, value = re.findall('"(.*?)"', found.notes[0])
        change_json(folder, "tokenizer_config.json", **{key: value})  # as the note says
        again = load_classifier(folder)
        assert not again.notes
        same = [again.encode_texts([text]).tokens[:].tolist() for text in ("film...", "film\u2026")]
        assert same[0] == same[1]


def _charsmap(model: bytes) -> bytes:
    from sentencepiece import sentencepiece_model_pb2

    read = sentencepiece_model_pb2.ModelProto()
    read.ParseFromString(model)
    return read.normalizer_spec.precompiled_charsmap


@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer.json", "tokenizer_config.json"])
def test_a_mark_of_byte_order_is_no_part_of_a_token(tmp_path: Path, file: str) -> None:
    folder = model_folder(tmp_path / "marked")
    if file == "vocab.txt":
        without_tokenizer(folder)
        (folder / file).write_text("\n".join([*SPECIAL, *WORDS]))
    plain = (folder / file).read_bytes()
    found = load_classifier(folder).geometry
    (folder / file).write_bytes(codecs.BOM_UTF8 + plain)
    assert f"The {file} of 'marked' begins with a byte order mark" in refused_by_both(folder)
    (folder / file).write_bytes(plain)
    assert read_info(folder).geometry == found


ORDINARY: dict[str, dict[str, dict[str, Any]]] = {
    "as transformers 5 saves it": {},
    "without further tokens": {"tokenizer_config.json": {"additional_special_tokens": []}},
    "without named tokens": {"tokenizer_config.json": {"extra_special_tokens": {}}},
    "with a further token": {"tokenizer_config.json": {"extra_special_tokens": ["good"]}},
    "as transformers 4 saves it": {
        "tokenizer_config.json": {"strip_accents": None, "padding_side": "right"},
        "special_tokens_map.json": {"cls_token": "[CLS]", "additional_special_tokens": []},
    },
    "with tokens that are described": {
        "special_tokens_map.json": {"mask_token": {"content": "[MASK]", "lstrip": True}}
    },
}


@pytest.mark.parametrize("what", ORDINARY)
def test_an_ordinary_tokenizer_is_looked_at_without_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = model_folder(tmp_path / "plain")
    for file, how in ORDINARY[what].items():
        if not (folder / file).exists():
            (folder / file).write_text("{}")
        change_json(folder, file, **how)
    found = load_classifier(folder)
    monkeypatch.setattr("bhpvas.model.tokenizer.load_tokenizer", None)
    assert read_info(folder).geometry == found.geometry


OLDER: dict[str, str] = {
    "added_tokens.json": '{"<new>": 900}',
    "special_tokens_map.json": '{"pad_token": "<pad>"}',
}


@pytest.mark.parametrize("file", OLDER)
@pytest.mark.parametrize("content", ["", "[]", None])
def test_files_of_older_versions_are_asked_as_loading_does(
    tmp_path: Path, file: str, content: str | None
) -> None:
    folder = model_folder(tmp_path / "older")
    (folder / file).write_text(OLDER[file] if content is None else content)
    refused_by_both(folder)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("padding_side", "middle"),
        ("truncation_side", None),
        ("do_lower_case", "yes"),
        ("strip_accents", 1),
        ("split_special_tokens", 0),
        ("model_input_names", None),
        ("extra_special_tokens", 0),
        ("extra_special_tokens", ["@user"]),
        ("additional_special_tokens", ""),
        ("added_tokens_decoder", {"2": "[CLS]"}),
        ("added_tokens_decoder", None),
        ("max_len", 0),
        ("max_len", "long"),
        ("max_len", 7),
        ("model_max_length", 0),
    ],
)
def test_settings_of_odd_kinds_are_read_as_loading_does(
    tmp_path: Path, setting: str, value: Any
) -> None:
    folder = model_folder(tmp_path / "odd")
    stated = json.loads((folder / "tokenizer_config.json").read_text())
    if setting == "max_len":
        del stated["model_max_length"]
    stated |= {"tokenizer_class": "BertTokenizer", setting: value}
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    if value == 7:
        lengths = read_info(folder).geometry.max_length, load_classifier(folder).geometry.max_length
        assert lengths == (7, 7)
    else:
        refused_by_both(folder)
