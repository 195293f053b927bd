"""Tokenizer of a model: the files that it is made of, whether it is the model's, and loading it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.model.families import FAMILIES
from bhpvas.model.families.base import TokenizerClass
from bhpvas.model.files import check_mark, check_pointer, reason
from bhpvas.text import plural

_WHOLE = "tokenizer.json"
# The kinds of settings that transformers takes as they are; of any other value it is asked.
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("do_lower_case", "tokenize_chinese_chars"), (bool,)),
    **dict.fromkeys(("add_prefix_space", "trim_offsets", "split_special_tokens"), (bool,)),
    **dict.fromkeys(("strip_accents",), (bool, NoneType)),
    **dict.fromkeys(("tokenizer_class",), (str,)),
    **dict.fromkeys(("model_input_names",), (list,)),
    **dict.fromkeys(("chat_template", "auto_map"), ()),
}
# Settings that are one of two.
_SIDES = ("padding_side", "truncation_side")
# Settings that name further special tokens.
_FURTHER = ("additional_special_tokens", "extra_special_tokens")
# What classes of word pieces do to a text, whatever is in tokenizer.json: the setting that says it,
# and what it is where it is left out.
_CLEANING = {
    "lowercase": ("do_lower_case", True),
    "strip_accents": ("strip_accents", None),
    "handle_chinese_chars": ("tokenize_chinese_chars", True),
}
# More embeddings than this without a token are not there to fill up a block of a table.
_PADDING = 512
# Classes, without the ending of the older fast ones, that are made of a tokenizer.json alone.
_GENERAL = ("PreTrainedTokenizer", "TokenizersBackend")
_CLASSES = {
    one.tokenizer.name: one.tokenizer
    for one in FAMILIES.values()
    if one.tokenizer.name not in _GENERAL
}


def check_tokenizer(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    """Refuse a tokenizer that :func:`load_tokenizer` would refuse.

    One in an ordinary tokenizer.json is looked at without transformers, any other loaded by it.
    """
    _check_files(folder, name, config)
    if not _is_ordinary(folder, config):
        load_tokenizer(folder, name, config)


def tokenizer_notes(folder: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a tokenizer.json is not taken as it stands there or looks odd, a sentence each."""
    document = _json(folder / _WHOLE)
    settings = _json(folder / "tokenizer_config.json")
    kind = _CLASSES.get(_class(settings, config))
    notes = list(_class_notes(kind, document, settings)) if kind and document else []
    if kind and not kind.maps_characters:
        notes += _map_notes(folder, kind, document)
    rows, tokens = config["vocab_size"], _tokens(document)
    if 0 < tokens < rows - _PADDING:
        notes.append(
            f"The tokenizer has {tokens:,} tokens and the model embeddings for {rows:,}: it may be "
            "that of another model."
        )
    return tuple(notes)


def _class_notes(
    kind: TokenizerClass, document: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterator[str]:
    """Where a tokenizer.json says otherwise than the class that transformers makes of it."""
    cleaning, cutting = (_object(document, one) for one in ("normalizer", "pre_tokenizer"))
    own = {"WordPiece": "BertNormalizer", "BPE": None}
    if kind.kind in own and cleaning.get("type") != own[kind.kind]:
        yield (
            f"The normalizer in {_WHOLE} ({cleaning.get('type', 'none')}) is not that of the class "
            f"{kind.name} ({own[kind.kind] or 'none'}), which transformers reads instead: with "
            '"tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json, and its '
            "special tokens, it is read as it stands."
        )
        return
    compared = [(cleaning, key, *how) for key, how in _CLEANING.items()]
    if kind.kind == "BPE" and cutting.get("type") == "ByteLevel":
        compared = [(cutting, "add_prefix_space", "add_prefix_space", False)]
    for part, key, setting, default in compared:
        stated, taken = part.get(key), settings.get(setting, default)
        if key not in part or stated is taken:
            continue
        yield (
            f"The {_WHOLE} says {key}: {json.dumps(stated)}, and the class {kind.name} "
            f"{json.dumps(taken)}, as transformers reads it: {setting} in tokenizer_config.json "
            "decides."
        )


def _map_notes(folder: Path, kind: TokenizerClass, document: Mapping[str, Any]) -> Iterator[str]:
    """Where a tokenizer was trained on texts whose characters were replaced, and its class does not
    replace them.
    """
    cleaning = _object(document, "normalizer")
    steps = cleaning.get("normalizers", [cleaning])
    if document:
        mapped = any(type(one) is dict and one.get("type") == "Precompiled" for one in steps)
        where, again = _WHOLE, "w"
    else:
        mapped, where = _maps_characters(folder / kind.files[0]), kind.files[0]
        again = f"save it by transformers 4, which makes a {_WHOLE}, and w"
    if mapped:
        yield (
            f"The {where} says how characters are replaced before words are cut (… by three full "
            "stops, full-width letters and ligatures by plain ones), and the class "
            f"{kind.name} of transformers 5 leaves that out, so that the model does not know them: "
            f'{again}ith "tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json, '
            "and its special tokens, it is read as it stands."
        )


def _maps_characters(path: Path) -> bool:
    """Whether a SentencePiece model replaces characters; not of one that cannot be read."""
    try:
        model = import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
        model.ParseFromString(path.read_bytes())
    except Exception:  # loading it says what is wrong
        return False
    return bool(model.normalizer_spec.precompiled_charsmap)


def _tokens(document: Mapping[str, Any]) -> int:
    """How many tokens a tokenizer.json has, with those that were added; 0 of what is none."""
    vocabulary, more = _object(document, "model").get("vocab"), document.get("added_tokens")
    known = len(vocabulary) if isinstance(vocabulary, dict | list) else 0
    numbers = (one.get("id") for one in more if isinstance(one, dict)) if type(more) is list else ()
    return known + sum(type(number) is int and number >= known for number in numbers)


def load_tokenizer(folder: Path, name: str, config: Mapping[str, Any]) -> Any:
    """The tokenizer of a model with a complete config.

    Raises :class:`ModelError` where it is missing, broken, no fast one, or not the model's.
    """
    from transformers import AutoConfig, AutoTokenizer

    _check_files(folder, name, config)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder,
            config=AutoConfig.for_model(**config),
            use_fast=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except Exception as error:  # a missing or broken file surfaces as many unrelated types
        raise ModelError(
            f"The tokenizer of {name!r} could not be read ({_unread(folder, error)}."
        ) from error
    if not tokenizer.is_fast or tokenizer.pad_token_id is None or tokenizer.cls_token_id is None:
        raise ModelError(
            f"The tokenizer of {name!r} is no fast tokenizer with [CLS] and padding tokens; add a "
            f"tokenizer.json to the model."
        )
    _check_kind(folder, name, tokenizer)
    held, added = tokenizer.get_vocab(), set(tokenizer.get_added_vocab())
    if not held.keys() - added - set(tokenizer.all_special_tokens):
        raise ModelError(
            f"The tokenizer of {name!r} knows its {len(held)} special tokens alone and no word: "
            f"add the {_WHOLE} that the model was trained with."
        )
    unknown = _lacking(tokenizer.backend_tokenizer.model)
    if unknown is not None:
        raise ModelError(
            f"The tokenizer of {name!r} gives {unknown!r:.40} for what it does not know, which is "
            "none of its tokens: take the tokenizer that the model was trained with."
        )
    _check_rows(held, added, config, name)
    return tokenizer


def _unread(folder: Path, error: Exception) -> str:
    """Why a tokenizer could not be read, and what to do.

    transformers takes a SentencePiece model that it cannot open for one of tiktoken.
    """
    again = "save or download it again"
    pieces = [
        file
        for one in _CLASSES.values()
        for file in one.files
        if file.endswith(".model") and (folder / file).is_file()
    ]
    if "tiktoken" not in str(error) or not pieces:
        return f"{reason(error)}): {again}"
    try:
        for library in ("sentencepiece", "google.protobuf"):
            import_module(library)
    except ImportError:
        return f"its {pieces[0]} needs two libraries): run `pip install sentencepiece protobuf`"
    return f"its {pieces[0]} is damaged): {again}"


def _check_rows(
    held: Mapping[str, int], added: Collection[str], config: Mapping[str, Any], name: str
) -> None:
    """Refuse tokens that the model has no embeddings for."""
    rows = config["vocab_size"]
    beyond = sorted((number, token) for token, number in held.items() if number >= rows)
    if not beyond:
        return
    if all(token in added for _, token in beyond):
        raise ModelError(
            f"The tokenizer of {name!r} was given {plural(len(beyond), 'token')} "
            f"({beyond[0][1]!r:.40} first) that the model has no embeddings for, which end at "
            f"{rows:,}: call "
            "resize_token_embeddings(len(tokenizer)) on it and train it again, or take the "
            "tokenizer that it was trained with."
        )
    raise ModelError(
        f"The tokenizer of {name!r} has {beyond[-1][0] + 1:,} tokens and the model knows {rows:,}: "
        "they do not belong together."
    )


def _check_kind(folder: Path, name: str, tokenizer: Any) -> None:
    """Refuse a tokenizer.json of which the tokenizer's class makes one of another kind."""
    read = type(tokenizer.backend_tokenizer.model).__name__
    stated = _object(_json(folder / _WHOLE), "model").get("type", read)
    if read != stated:
        raise ModelError(
            f"The {_WHOLE} of {name!r} is of the kind {stated}, and the class "
            f"{type(tokenizer).__name__} makes a {read} of it, which cuts words differently: write "
            '"tokenizer_class": "PreTrainedTokenizerFast" into its tokenizer_config.json, with '
            "its special tokens, or take the tokenizer that the model was trained with."
        )


def _check_files(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    """Refuse a folder without the files of its tokenizer's class.

    Without them transformers makes up a tokenizer that knows no word, and says nothing.
    """
    settings = _json(folder / "tokenizer_config.json")
    code = settings.get("auto_map")
    if isinstance(code, list) or (isinstance(code, dict) and "AutoTokenizer" in code):
        raise ModelError(
            f"The tokenizer of {name!r} needs code of its own, which bhpvas does not run: choose a "
            "model with a tokenizer of transformers."
        )
    for file in (_WHOLE, "tokenizer_config.json"):
        check_pointer(folder / file, name)
        check_mark(folder / file, name)
    if (folder / _WHOLE).is_file():
        return
    known = {file for one in _CLASSES.values() for file in one.files}
    found = sorted(file for file in known if (folder / file).is_file())
    if not found:
        inner = [path.parent.name for path in sorted(folder.glob(f"*/{_WHOLE}"))]
        where = f", from the folder {inner[0]!r} in it" if inner else ""
        raise ModelError(
            f"The tokenizer of {name!r} is missing: add its tokenizer.json to the model{where}."
        )
    for file in found:
        check_pointer(folder / file, name)
        check_mark(folder / file, name)
    kind = _class(settings, config)
    needed = _CLASSES[kind].files if kind in _CLASSES else ()
    if kind in _GENERAL or any(file not in found for file in needed):
        parts = f" nor {' and '.join(needed)}" if needed else ""
        raise ModelError(
            f"The tokenizer of {name!r} is a {kind}, and the folder has no {_WHOLE}{parts}, but "
            f"{', '.join(found)}: add what the model was trained with, or name the class of what "
            'is there as "tokenizer_class" in its tokenizer_config.json.'
        )


def _class(settings: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The class of a model's tokenizer, without the ending of the older fast ones."""
    own = FAMILIES[config["model_type"]].tokenizer.name
    named = settings.get("tokenizer_class") or config.get("tokenizer_class") or own
    return str(named).removesuffix("Fast")


def _is_ordinary(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether there is no doubt of a tokenizer.json, of what is read without transformers."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / _WHOLE))
    except Exception:  # broken, or not there: transformers says which
        return False
    place = folder / "tokenizer_config.json"
    settings = _json(place)
    kind = _CLASSES.get(_class(settings, config))
    if (place.exists() and not settings) or (
        kind is not None and kind.kind != type(tokenizer.model).__name__
    ):
        return False
    tokens = _named_tokens(folder, settings, kind)
    held = tokenizer.get_vocab()
    return (
        tokens is not None
        and all(isinstance(token, str) and token in held for token in tokens)
        and all(type(settings[key]) in kinds for key, kinds in _KINDS.items() if key in settings)
        and all(settings.get(key, "left") in ("left", "right") for key in _SIDES)
        and _lacking(tokenizer.model) is None
        and max(held.values()) < config["vocab_size"]
        and len(held) > len(tokenizer.get_added_tokens_decoder())
    )


def _named_tokens(
    folder: Path, settings: Mapping[str, Any], kind: TokenizerClass | None
) -> list[Any] | None:
    """What a tokenizer's settings name as its special and added tokens; None where that is open."""
    roles: dict[str, Any] = {"pad_token": kind and kind.padding, "cls_token": kind and kind.first}
    if kind:
        roles |= {"sep_token": kind.last, "unk_token": kind.unknown, "mask_token": kind.mask}
        roles |= {"bos_token": kind.first, "eos_token": kind.last}  # of a class that has them
    roles |= {key: _text(of) for key, of in settings.items() if key.endswith("_token")}
    added = settings.get("added_tokens_decoder", {})
    older: dict[str, Any] = {}
    if "added_tokens_decoder" not in settings:  # then transformers asks files of older versions
        file = folder / "special_tokens_map.json"
        older = _json(file)
        if (file.exists() and not older) or (folder / "added_tokens.json").exists():
            return None
    further = [older.pop(key, None) or settings.get(key, []) for key in _FURTHER]
    if not isinstance(added, dict) or not all(one == {} or type(one) is list for one in further):
        return None
    roles |= {key: _object(older, key).get("content", of) for key, of in older.items()}
    return [
        *roles.values(),
        *(_object(added, key).get("content") for key in added),
        *map(_text, chain(*further)),
    ]


def _lacking(model: Any) -> str | None:
    """The token for what a tokenizer does not know, where that is none of its vocabulary."""
    unknown: str | None = getattr(model, "unk_token", None)
    return None if unknown is None or model.token_to_id(unknown) is not None else unknown


def _text(token: Any) -> Any:
    """The text of a special token, which older settings describe; None of what is none."""
    if isinstance(token, dict) and token.get("__type") == "AddedToken":
        return token.get("content")
    return token if isinstance(token, str) else None


def _object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a JSON document; nothing where it is none."""
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    """The settings in a file; none where it is missing, or is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
