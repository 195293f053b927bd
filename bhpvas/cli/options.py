"""Options of the commands: typed fields that say their help, of which the parser is made.

A command's ``Options`` takes what it shares with others from the classes below.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from bhpvas.errors import BhpvasError

_KINDS = {"int": int, "float": float}


def option(help: str, metavar: str | None = None, **how: Any) -> Any:
    """A field that the command line fills; ``how`` as in ``add_argument``.

    Its name says the option's, its type how it is read; a ``flag`` is another name, a ``group`` the
    title under which the help shows it. Of a bool that is left out, the default is false.
    """
    return field(metadata={"help": help, "metavar": metavar, **how})


def add_options(parser: argparse.ArgumentParser, options: type[CommandOptions]) -> None:
    """Add every field of a class of options that is an :func:`option`."""
    groups: dict[str, Any] = {}
    exclusive = parser.add_mutually_exclusive_group() if options.exclusive else parser
    for one in fields(options):
        how = dict(one.metadata)
        if not how:
            continue
        flag = how.pop("flag", f"--{one.name.replace('_', '-')}")
        title = how.pop("group", None)
        how["help"] = how["help"].replace("{split}", options.split)
        if flag.startswith("-"):
            how["dest"] = one.name
        if one.type in ("bool", "bool | None"):
            del how["metavar"]
            how.setdefault("action", "store_true")
        elif kind := _KINDS.get(str(one.type).removesuffix(" | None")):
            how["type"] = kind
        if title is not None and title not in groups:
            groups[title] = parser.add_argument_group(title)
        where = exclusive if one.name in options.exclusive else groups.get(title, parser)
        where.add_argument(flag, **how)
    parser.set_defaults(shares_passes=options.shares_passes)


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """What a command says of itself.

    ``split`` is the part of the sentences that a command looks at where these are not a file.
    ``shares_passes``: it does nothing but pass over sentences, which several processes can share.
    Of the ``exclusive`` fields only one may be given.
    """

    split: ClassVar[Literal["calibration", "evaluation"]] = "evaluation"
    shares_passes: ClassVar[bool] = False
    exclusive: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, kw_only=True)
class ModelOptions(CommandOptions):
    """The model, and whether the answer is one JSON document."""

    model: str | None = option(
        "folder or hub id, also as id@revision (default: the sample model)", "M"
    )
    json: bool = option("print one JSON document")


@dataclass(frozen=True, kw_only=True)
class RunOptions(ModelOptions):
    """Where the model runs, too."""

    device: str = option(
        "cpu, cuda or mps (default: cuda where there is one, else cpu)", default="auto"
    )
    dtype: str = option(
        "float32, bfloat16, or mixed: float32 weights multiplied in bfloat16 (default: float32)",
        default="float32",
    )

    threshold: float | None = option(
        "probability from which a model of several labels answers one (default: 0.5)", "X"
    )
    max_unknown: float = option(
        "refuse sentences of which a larger share of the tokens is unknown to the tokenizer "
        "(default: 0.5)",
        "SHARE",
        default=0.5,
    )


@dataclass(frozen=True, kw_only=True)
class PassOptions(RunOptions):
    """For a command that only passes over sentences, which bfloat16 is exact enough for."""

    shares_passes = True

    dtype: str = option(
        "float32, bfloat16, or mixed: float32 weights multiplied in bfloat16 (default: mixed on "
        "cuda, else float32)",
        default="auto",
    )


@dataclass(frozen=True, kw_only=True)
class CacheOptions(CommandOptions):
    """Whether results are kept on disk, and found there."""

    cache: bool = option(
        "compute everything anew and keep nothing on disk", flag="--no-cache", action="store_false"
    )


@dataclass(frozen=True, kw_only=True)
class ParserOptions(CommandOptions):
    """What parses the sentences."""

    parser: str | None = option(
        "spaCy pipeline that parses the sentences, by its package or folder; named, it parses "
        "whatever it is given (default: en_core_web_sm, for text that is not plainly of another "
        "language)",
        "NAME",
    )


@dataclass(frozen=True, kw_only=True)
class DataOptions(RunOptions):
    """The sentences too: a file or hub id, and columns that are not found by their names."""

    data: str | None = option(
        "file, folder or hub id such as glue/sst2; where it has parts (a column names them, or "
        "folders, or the hub), its {split} split is used, else all of it (default: the sample "
        "sentences' {split} split)",
        "D",
    )
    text: str | None = option("column of the text, if not found by its name", "COLUMN")
    pair: str | None = option(
        'column of the pair, if not found by its name; "" where there is none', "COLUMN"
    )
    label: str | None = option(
        "column of the label, if not found by its name; of several labels also a column of 0 and 1 "
        "for each, by commas",
        "COLUMN",
    )
    query: str | None = option(
        "column that says what a pair is an answer to, of a model that ranks (default: the first "
        "text, where pairs share it)",
        "COLUMN",
    )
    tag: str | None = option("column of the tag, if not found by its name", "COLUMN")
    split_column: str | None = option(
        'column that names the part of each row, if not found by its name; "" where the whole file '
        "is to be used",
        "COLUMN",
        flag="--split",
    )
    header: bool | None = option(
        "whether the first row of a text file names the columns, where that does not show; without "
        "names, a column is named by its number",
        action=argparse.BooleanOptionalAction,
    )
    encoding: str | None = option("of text that is not UTF-8, such as latin-1", "NAME")
    labels_from: int | None = option(
        "labels are the model's numbers and count from 0, 1 or -1, where that does not show",
        choices=(-1, 0, 1),
    )
    skip_unlabelled: bool = option(
        "leave out rows whose label is empty, NA, NaN, null, -1 or a dash"
    )


_LEARNT_FROM = (
    "file, folder or hub id to learn from; where it has parts (a column names them, or folders, or "
    "the hub), its calibration split is used, else all of it (default: the sample sentences' "
    "calibration split)"
)


@dataclass(frozen=True, kw_only=True)
class DrawOptions(DataOptions):
    """How many sentences to learn from at most, and the seed of every draw, too."""

    sentences: int | None = option(
        "draw at most N sentences, each label in its proportion and, where there are enough, none "
        "that is part of another (default: 2048; fine-tuning uses all)",
        "N",
    )
    seed: int = option("of every draw (default: 0)", default=0)


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions(DrawOptions):
    """For a command that learns, and measures nothing: its only sentences are those."""

    split = "calibration"

    data: str | None = option(_LEARNT_FROM, "D", flag="--calibration")


@dataclass(frozen=True, kw_only=True)
class BothOptions(DrawOptions):
    """For a command that learns from some sentences and measures on others."""

    calibration: str | None = option(_LEARNT_FROM, "D")


@dataclass(frozen=True, kw_only=True)
class UnitOptions(CommandOptions):
    """What is measured: heads, feed-forward neurons or both."""

    units: str = option(
        "what is measured: heads, neurons, or both as heads,neurons (default: heads)",
        "LIST",
        default="heads",
    )

    def check_units(self) -> tuple[str, ...]:
        """The units asked for; raises :class:`BhpvasError` for any other."""
        found = tuple(dict.fromkeys(one.strip() for one in self.units.split(",")))
        for one in found:
            if one not in ("heads", "neurons"):
                raise BhpvasError(f"{one!r} is no unit to measure; choose from heads, neurons.")
        return found


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(CommandOptions):
    """The heads to remove."""

    remove: str = option(
        "heads to remove, such as L0H3,L5H11, or L0-11H3: head 3 of layers 0 to 11",
        "HEADS",
        default="",
    )
