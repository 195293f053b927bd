"""Options that commands share: the model, the sentences, what to learn from, the file to write.

A class holds the values, named as the options are; the function of the same name adds them, and
those of the classes above it, to a parser.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The model and where it runs, and whether the answer is one JSON document."""

    model: str | None
    json: bool
    device: str
    dtype: str


@dataclass(frozen=True, kw_only=True)
class DataOptions(ModelOptions):
    """The sentences too: a file or hub id, its split, and columns not found by their names."""

    data: str | None
    split: Literal["calibration", "evaluation"]
    text: str | None
    pair: str | None
    label: str | None
    tag: str | None


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions(DataOptions):
    """How many sentences to learn from at most, and the seed of every draw, too."""

    sentences: int | None
    seed: int


def add_model(
    parser: argparse.ArgumentParser, *, runs: bool = True, shares_passes: bool = False
) -> None:
    """The model and, where it ``runs``, on what; ``shares_passes``: the command does nothing but
    pass over sentences, which several processes can share and bfloat16 is exact enough for."""
    parser.add_argument(
        "--model",
        metavar="M",
        help="folder or hub id, also as id@revision (default: the sample model)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(shares_passes=shares_passes)
    if runs:
        parser.add_argument(
            "--device",
            default="auto",
            help="cpu, cuda or mps (default: cuda where there is one, else cpu)",
        )
        usual = "mixed on cuda, else float32" if shares_passes else "float32"
        parser.add_argument(
            "--dtype",
            default="auto" if shares_passes else "float32",
            help=f"float32, bfloat16, or mixed: float32 weights multiplied in bfloat16 (default: "
            f"{usual})",
        )


def add_data(
    parser: argparse.ArgumentParser,
    split: str,
    *,
    cached: bool = False,
    shares_passes: bool = False,
) -> None:
    """The model and the sentences; ``cached``: also whether results are kept on disk."""
    add_model(parser, shares_passes=shares_passes)
    if cached:
        add_cache(parser)
    parser.add_argument(
        "--data",
        metavar="D",
        help=f"file, used whole, or hub id such as glue/sst2, of which the {split} split is used "
        f"(default: the sample sentences' {split} split)",
    )
    parser.set_defaults(split=split)
    _add_columns(parser)


def add_calibration(parser: argparse.ArgumentParser, *, alone: bool = True) -> None:
    """The sentences to learn from: with the model as the only ones, or beside other sentences."""
    if alone:
        add_model(parser)
    parser.add_argument(
        "--calibration",
        metavar="D",
        dest="data" if alone else "calibration",
        help="file, used whole, or hub id, of which the calibration split is used, to learn from "
        "(default: the sample sentences' calibration split)",
    )
    parser.add_argument(
        "--sentences",
        metavar="N",
        type=int,
        help="draw at most N sentences, each label in its proportion and, where there are enough, "
        "none that is part of another (default: 2048; fine-tuning uses all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    if alone:
        parser.set_defaults(split="calibration")
        _add_columns(parser)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    for part in ("text", "pair", "label", "tag"):
        parser.add_argument(
            f"--{part}", metavar="COLUMN", help=f"column of the {part}, if not found by its name"
        )


def add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="compute everything anew and keep nothing on disk",
    )


def add_remove(parser: Any) -> None:
    """The heads to remove; ``parser`` may be a group of options that exclude each other."""
    parser.add_argument(
        "--remove", metavar="HEADS", default="", help="heads to remove, such as L0H3,L5H11"
    )


def add_scheme(parser: argparse.ArgumentParser, what: str = "scheme file") -> None:
    parser.add_argument("--scheme", metavar="S", required=True, help=what)


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--out", metavar="FILE", required=True, help=what)
