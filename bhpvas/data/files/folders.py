"""Folders as tables: what ``datasets`` saved, and a folder of texts for each class."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bhpvas.data import tables
from bhpvas.data.files import columnar
from bhpvas.data.files.file import on_disk, unreadable
from bhpvas.data.parts import is_part
from bhpvas.data.tables import Piece, Row, Table
from bhpvas.errors import DataError
from bhpvas.text import listed, plural

# The folder of aclImdb in which reviews without a label are.
_UNLABELLED = "unsup"
# Characters of a text, which needs far fewer, and of the JSON that says what a folder holds.
_LONGEST = 2**20


def parse(path: Path, endings: Collection[str], encoding: str | None) -> Table:
    """The table of a folder that ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote, or
    of one that has a folder of .txt files for each class, or such folders for each part.

    Raises :class:`DataError` for any other folder; files with such ``endings`` in it are named.
    """
    name = path.resolve().name
    try:
        if (path / "dataset_dict.json").is_file():
            splits: Any = _json(path / "dataset_dict.json").get("splits")
            named = splits if isinstance(splits, list) else []
            if not named or not all(map(_is_plain, named)):
                raise _damaged(path / "dataset_dict.json")
            return _of_parts(
                name, {part: _saved(f"{name} ({part})", path / part) for part in named}
            )
        if (path / "state.json").is_file():
            return _saved(name, path)
        parts = {
            part: texts
            for part, folder in _folders(path).items()
            if is_part(part) and len(texts := _texts_by_class(folder)) > 1
        }
        if parts:
            return _of_parts(
                name,
                {part: _texts(f"{name} ({part})", parts[part], encoding) for part in parts},
            )
        texts = _texts_by_class(path)
        if len(texts) > 1:
            return _texts(name, texts, encoding)
        raise _no_data(path, endings)
    except OSError as error:
        raise unreadable(str(path), error) from error


def _saved(name: str, folder: Path) -> Table:
    """What ``Dataset.save_to_disk`` wrote: Arrow files, named in ``state.json``."""
    state = _json(folder / "state.json")
    try:
        files = [one["filename"] for one in state["_data_files"]]
    except (KeyError, TypeError):
        files = []
    if not files or not all(map(_is_plain, files)) or state.get("_indices_data_files"):
        raise DataError(
            f"{folder} does not say which Arrow files are its rows: save it again with "
            "save_to_disk, or as Parquet."
        )
    shards = [columnar.parse_arrow(on_disk(folder / file, name)) for file in files]

    def read() -> Iterator[Piece]:
        before = 0
        for shard in shards:
            last = 0
            for piece in shard.read():
                last = piece.numbers[-1]
                yield piece._replace(numbers=[before + number for number in piece.numbers])
            before += last

    return replace(shards[0], read=read, form="saved by datasets")


def _json(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as stream:
        try:
            found = json.loads(stream.read(_LONGEST))
        except (ValueError, RecursionError):
            found = None
    if not isinstance(found, dict):
        raise _damaged(path)
    return found


def _damaged(path: Path) -> DataError:
    return DataError(f"{path} is damaged: save the data set again.")


def _is_plain(name: object) -> bool:
    """Whether it is the name of a file in the folder, and leads nowhere else."""
    return isinstance(name, str) and Path(name).name == name != ".."


def _of_parts(name: str, parts: Mapping[str, Table]) -> Table:
    first = next(iter(parts.values()))
    if len(parts) == 1:
        return replace(first, form=f"{first.form}, its one part {next(iter(parts))}")

    def read() -> Iterator[Piece]:
        for part in parts.values():
            yield from part.read()

    return replace(first, name=name, read=read, parts=parts)


def _folders(path: Path) -> dict[str, Path]:
    """The folders in a folder by name."""
    return {one.name: one for one in _seen(path) if one.is_dir()}


def _seen(folder: Path) -> list[Path]:
    """What is in a folder, without what systems hide or keep for themselves."""
    return sorted(one for one in folder.iterdir() if not one.name.startswith((".", "__")))


def _texts_by_class(folder: Path) -> dict[str, list[Path]]:
    """The .txt files in each folder in a folder that has some."""
    texts = {
        name: [one for one in _seen(inside) if one.suffix.lower() == ".txt"]
        for name, inside in _folders(folder).items()
    }
    return {name: files for name, files in texts.items() if files}


def _texts(name: str, texts: Mapping[str, list[Path]], encoding: str | None) -> Table:
    """The table of texts by class, one a file."""
    classes = {label: files for label, files in texts.items() if label != _UNLABELLED}

    def rows() -> Iterator[Row]:
        files = [(label, path) for label, paths in classes.items() for path in paths]
        for number, (label, path) in enumerate(files, start=1):
            here = f"{label}/{path.name} of {name}"
            text = next(on_disk(path, here, encoding=encoding).chunks(), "").strip()
            if len(text) > _LONGEST:
                raise DataError(
                    f"{here} has more than {_LONGEST:,} characters, which is no sentence: remove "
                    "it."
                )
            if not text:
                raise DataError(f"{here} is empty: remove it.")
            yield number, (text, label), len(text)

    said = f"a folder of .txt files for each class ({listed(classes)})"
    inside = sum(len(_seen(paths[0].parent)) - len(paths) for paths in classes.values())
    if inside:
        said += (
            f", {plural(inside, 'other file or folder', 'other files or folders')} in them left out"
        )
    if _UNLABELLED in texts:
        count = plural(len(texts[_UNLABELLED]), "file")
        said += f", {count} without a label in {_UNLABELLED} left out"
    if encoding:
        said += f", text in {encoding}"
    return tables.table_of(name, ("text", "label"), rows, unit="file", form=said)


def _no_data(path: Path, endings: Collection[str]) -> DataError:
    """What is said of a folder that is no data."""
    name = path.resolve().name
    inside = [*path.iterdir(), *(one for one in path.glob("*/*") if one.suffix != ".txt")]
    files = sorted(one.relative_to(path).as_posix() for one in inside if one.is_file())
    data = [one for one in files if Path(one).suffix.lower() in endings]
    if data:
        return DataError(f"{name} is a folder, in which are {listed(data)}: name the file.")
    is_id = re.fullmatch(r"\w[\w-]*(/\w[\w.-]*)?", str(path))
    hub = f" (the hub's data set of that name is {path}@main)" if is_id else ""
    return DataError(
        f"{name} is a folder that holds no data which is read: give a file, a folder that "
        f"save_to_disk of datasets wrote, or one with a folder of .txt files for each class{hub}."
    )
