"""Tokenizer of a model: the files that it is made of, whether it is the model's, and loading it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.model.families import FAMILIES
from bhpvas.model.files import check_pointer, reason
from bhpvas.text import plural

_WHOLE = "tokenizer.json"
# Settings of a tokenizer that transformers alone knows what to make of.
_UNUSUAL = {"auto_map", "additional_special_tokens", "extra_special_tokens"}
# More embeddings than this without a token are not there to fill up a block of a table.
_PADDING = 512
_CLASSES = {one.tokenizer.name: one.tokenizer for one in FAMILIES.values()}
# Classes, without the ending of the older fast ones, that are made of a tokenizer.json alone.
_GENERAL = ("PreTrainedTokenizer", "TokenizersBackend")


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
    notes = []
    cleaning = document.get("normalizer")
    stated = cleaning.get("lowercase") if isinstance(cleaning, dict) else None
    taken = settings.get("do_lower_case", True)
    if kind and kind.kind == "WordPiece" and stated is not None and stated is not taken:
        does, sets = ("lowers", "keeps") if stated else ("keeps", "lowers")
        notes.append(
            f"The {_WHOLE} {does} capital letters, and the class {kind.name} {sets} them, as "
            "transformers reads it: do_lower_case in tokenizer_config.json decides."
        )
    rows, tokens = config["vocab_size"], _tokens(document)
    if 0 < tokens < rows - _PADDING:
        notes.append(
            f"The tokenizer has {tokens:,} tokens and the model embeddings for {rows:,}: it may be "
            "that of another model."
        )
    return tuple(notes)


def _tokens(document: Mapping[str, Any]) -> int:
    """How many tokens a tokenizer.json has, with those that were added; 0 of what is none."""
    vocabulary, more = _model(document).get("vocab"), document.get("added_tokens")
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
            f"The tokenizer of {name!r} could not be read ({reason(error)}): save or download it "
            "again."
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
    stated = _model(_json(folder / _WHOLE)).get("type", read)
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
    held = tokenizer.get_vocab()
    roles = {"pad_token": kind and kind.padding, "cls_token": kind and kind.first}
    if kind:
        roles["unk_token"] = kind.unknown
    roles |= {key: of for key, of in settings.items() if key.endswith("_token")}
    more = settings.get("added_tokens_decoder", {})
    if not isinstance(more, dict) or not all(isinstance(one, dict) for one in more.values()):
        return False
    named = [*map(_text, roles.values()), *(one.get("content") for one in more.values())]
    return (
        all(isinstance(token, str) and token in held for token in named)
        and not settings.keys() & _UNUSUAL
        and _lacking(tokenizer.model) is None
        and isinstance(settings.get("tokenizer_class", ""), str)
        and max(held.values()) < config["vocab_size"]
        and len(held) > len(tokenizer.get_added_tokens_decoder())
    )


def _lacking(model: Any) -> str | None:
    """The token for what a tokenizer does not know, where that is none of its vocabulary."""
    unknown: str | None = getattr(model, "unk_token", None)
    return None if unknown is None or model.token_to_id(unknown) is not None else unknown


def _text(token: Any) -> Any:
    """The text of a special token, which older settings describe; None of what is none."""
    if isinstance(token, dict) and token.get("__type") == "AddedToken":
        return token.get("content")
    return token if isinstance(token, str) else None


def _model(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get("model")
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    """The settings in a file; none where it is missing, or is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
