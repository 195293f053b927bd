"""Reading of labelled sentences from a file, the bytes of one, or the hub, whole or in splits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np

from bhpvas.data.cells import as_text, dataset_of, in_order, labels_of
from bhpvas.data.columns import Columns, guess_columns
from bhpvas.data.dataset import Dataset, Split, Splits
from bhpvas.data.files.formats import is_table_name, read_table
from bhpvas.data.first_rows import FirstRows
from bhpvas.data.hub import HubId, further_columns, load_parts, part_table
from bhpvas.data.parts import CALIBRATION_SHARE, Parts, divided
from bhpvas.data.sampling import SENTENCES
from bhpvas.data.set_columns import name_of, with_one_column
from bhpvas.data.tables import Table
from bhpvas.data.targets import label_columns
from bhpvas.errors import DataError
from bhpvas.storage.paths import sample_data_folder
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.text import listed

Source: TypeAlias = str | Path | BinaryIO | Table


def read_splits(
    source: Source,
    *,
    name: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
    tag: str | None = None,
    split: str | None = None,
    skip_unlabelled: bool = False,
    labels_from: int | None = None,
    seed: int = 0,
    calibration_share: float = CALIBRATION_SHARE,
    sentences: int | None = SENTENCES,
    query: str | None = None,
    task: Task | None = None,
) -> Splits:
    """Read labelled sentences in a calibration and an evaluation part.

    ``source`` is a file or folder of a kind that docs/data.md lists, a binary stream with the
    ``name`` of such a file, a :class:`~bhpvas.data.tables.Table`, or a hub id: ``name``,
    ``name:config``, ``name@revision``. ``header`` says whether the first row of delimited text
    names the columns (None: it shows), ``encoding`` what text is that is not UTF-8.
    The columns are guessed by :func:`guess_columns` unless they are named; ``""`` says that there
    is none. ``skip_unlabelled`` leaves rows out whose label is empty, NA, NaN, null, -1 or a dash,
    and counts them in the provenance. ``labels_from`` says that labels are the model's numbers,
    counted from there; names that the source has for them do not count then. ``query`` names the
    column of what pairs are answers to. ``task`` is that of the model: without it a label is one
    out of several, with it also a number or a set of labels, for which ``label`` may name several
    columns of 0 and 1 by commas.

    Parts that the source has are kept: one named train or calibration to learn from (of train at
    most so many ``sentences``, drawn as :func:`~bhpvas.data.sampling.calibration_sample` draws;
    None = all), one named test, validation or evaluation whose labels are given to measure on;
    ``made`` says how many sentences stand in both. A source in one part is divided by a stratified
    split that keeps copies of a sentence together.

    Raises :class:`~bhpvas.errors.DataError` with the place of whatever cannot be used.

    >>> import io
    >>> import bhpvas
    >>> rows = ["sentence,label", *(f"A {word} film.,good" for word in ("fine", "great", "deep"))]
    >>> rows += [f"A {word} film.,bad" for word in ("dull", "poor", "flat")]
    >>> splits = bhpvas.read_splits(io.BytesIO("\\n".join(rows).encode()), name="films.csv")
    >>> len(splits.calibration), len(splits.evaluation), splits.evaluation.label_names
    (2, 4, ('bad', 'good'))
    """
    choice = {"text": text, "pair": pair, "label": label, "tag": tag, "split": split}
    opened = _opened(source, name, header, encoding)
    how = _How({**choice, "query": query}, skip_unlabelled, labels_from, task)
    found = _read(*_with_sets(opened, how))
    if isinstance(found, Parts):
        return found.splits(calibration_share, seed, sentences)
    return divided(found, calibration_share, seed)


def read_dataset(
    source: Source,
    *,
    name: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
    tag: str | None = None,
    split: str | None = None,
    skip_unlabelled: bool = False,
    labels_from: int | None = None,
    part: Split = "evaluation",
    sentences: int | None = None,
    query: str | None = None,
    task: Task | None = None,
) -> Dataset:
    """Read the sentences of a source to measure on, or to learn from (``part="calibration"``).

    They are those of a part where the source has such, as in :func:`read_splits`, whose arguments
    these are; else all of them. Where a column of a file names one part alone, or none for this
    purpose, they are all, too, and so they are with ``split=""``.

    Raises :class:`~bhpvas.errors.DataError` with the place of whatever cannot be used.

    >>> import io
    >>> import bhpvas
    >>> rows = ["review,stars", "A fine film.,good", "A dull one.,bad"]
    >>> file = io.BytesIO("\\n".join(rows).encode())
    >>> bhpvas.read_dataset(file, name="films.csv", label="stars")
    Dataset('films.csv', 2 sentences, labels ('bad', 'good'))
    """
    choice = {"text": text, "pair": pair, "label": label, "tag": tag, "split": split}
    opened = _opened(source, name, header, encoding)
    how = _How({**choice, "query": query}, skip_unlabelled, labels_from, task)
    found = _read(*_with_sets(opened, how))
    return found.only(part, sentences) if isinstance(found, Parts) else found


def sample_splits() -> Splits:
    """The sentences that ship with bhpvas, written for it: 240 to learn from, 480 to measure on.

    >>> import bhpvas
    >>> splits = bhpvas.sample_splits()
    >>> len(splits.calibration), len(splits.evaluation), splits.made
    (240, 480, 'as in the file')
    """
    return read_splits(sample_data_folder() / "sentences.tsv").named("sample")


def is_hub_id(source: Source) -> TypeGuard[str]:
    """Whether a source is no file or folder, by its name or because there is one."""
    if not isinstance(source, str) or is_table_name(source):
        return False
    return not os.path.exists(os.path.expanduser(source))


def columns_of(table: Table, *, task: Task | None = None, **choice: str | None) -> Columns:
    """Which column of a table holds what, as :func:`guess_columns` finds it with its first rows."""
    return guess_columns(
        table.columns,
        **choice,
        name=table.name,
        rows=FirstRows.of(table),
        classes=table.class_names,
        nested=table.nested,
        task=task,
    )


#: A part of a source as a table, with these columns and these rows (counted from 0), None = all.
_Part: TypeAlias = Callable[[Sequence[str] | None, np.ndarray | None], Table]


@dataclass(frozen=True)
class _Tables:
    """The parts that a source has, by name, as tables."""

    name: str
    parts: Mapping[str, _Part]


def _opened(
    source: Source, name: str | None, header: bool | None, encoding: str | None
) -> Table | _Tables:
    """The table that a source is, or its parts."""
    if is_hub_id(source):
        hub_id = HubId.parse(source)
        loaded = load_parts(hub_id)
        hub = {
            part: partial(_hub_part, rows, f"{hub_id} ({part})") for part, rows in loaded.items()
        }
        return _Tables(str(hub_id), hub)
    if not isinstance(source, Table):
        source = read_table(source, name=name, header=header, encoding=encoding)
    parts = {part: partial(_table_part, table) for part, table in source.parts.items()}
    return _Tables(source.name, parts) if parts else source


def _hub_part(
    part: Any, name: str, columns: Sequence[str] | None, rows: np.ndarray | None
) -> Table:
    return part_table(part, name, further_columns(part) if columns is None else columns, rows)


def _table_part(table: Table, columns: Sequence[str] | None, rows: np.ndarray | None) -> Table:
    return table if rows is None else table.take(rows)


@dataclass(frozen=True)
class _How:
    """How a source is to be read: its columns, as far as they are named, and its labels."""

    choice: Mapping[str, str | None]
    skip_unlabelled: bool
    labels_from: int | None
    task: Task | None

    def columns_of(self, table: Table, **instead: str | None) -> Columns:
        """Which column of a table holds what."""
        return columns_of(table, task=self.task, **{**self.choice, **instead})

    def aligned(self, dataset: Dataset) -> Dataset:
        """A dataset with scores or sets as labels, where the model gives such: only as these are
        they drawn and divided evenly.
        """
        if isinstance(self.task, Score | SeveralLabels):
            return dataset.for_task(self.task)
        return dataset


def _with_sets(source: Table | _Tables, how: _How) -> tuple[Table | _Tables, _How]:
    """A source with one column of labels where it has one of 0 and 1 for each of them."""
    if not isinstance(how.task, SeveralLabels):
        return source, how
    first = source
    if isinstance(first, _Tables):
        first = next(iter(first.parts.values()))(None, None)
    columns = label_columns(first.columns, how.task.label_names, how.choice["label"])
    if not columns:
        return source, how
    how = replace(how, choice={**how.choice, "label": name_of(columns)})
    if isinstance(source, Table):
        return with_one_column(source, columns), how

    def part_of(part: _Part, wanted: Sequence[str] | None, rows: np.ndarray | None) -> Table:
        if wanted is not None:
            wanted = [*(one for one in wanted if one != name_of(columns)), *columns]
        return with_one_column(part(wanted, rows), columns)

    parts = {name: partial(part_of, part) for name, part in source.parts.items()}
    return replace(source, parts=parts), how


def _read(
    source: Table | _Tables,
    how: _How,
) -> Dataset | Parts:
    """What a source holds: its parts where it has any, else its sentences."""
    if isinstance(source, Table):
        return _of_table(source, how)
    if how.choice["split"] and len(source.parts) > 1:
        raise DataError(
            f"{source.name} is in parts already ({listed(source.parts)}): leave --split out."
        )
    if len(source.parts) == 1:
        (table,) = (rows(None, None) for rows in source.parts.values())
        table = replace(table, name=source.name)
        if how.columns_of(table).split:
            # Rows without a label are left out as they are of several parts.
            found = _of_table(table, replace(how, skip_unlabelled=True))
            if isinstance(found, Parts) and len(found.labels) > 1:
                return found
    return _of_tables(source, how)


def _of_table(table: Table, how: _How) -> Dataset | Parts:
    """The sentences of a table, or the parts that one of its columns names."""
    columns = how.columns_of(table)
    dataset, named = dataset_of(
        table,
        columns,
        skip_unlabelled=how.skip_unlabelled,
        labels_from=how.labels_from,
        split_given=bool(how.choice["split"]),
        task=how.task,
    )
    if not named:
        return how.aligned(dataset)

    def take(part: str, rows: np.ndarray) -> Dataset:
        taken, left_out = dataset.take(named[part].rows[rows]), named[part].left_out
        said = replace(taken.provenance, split=columns.split, part=part, left_out=left_out)
        return how.aligned(replace(taken, provenance=said))

    labels = {part: dataset.labels[found.rows] for part, found in named.items()}
    given = dataset.labels >= 0
    whole = dataset if given.all() else dataset.take(np.flatnonzero(given))
    return Parts(dataset.name, labels, take, columns.split, how.aligned(whole))


def _of_tables(source: _Tables, how: _How) -> Parts:
    """The parts of a source that has a table for each, with the labels of all."""
    parts = source.parts
    first = replace(next(iter(parts.values()))(None, None), name=source.name)
    columns = how.columns_of(first, split="")
    read = [column for column in (columns.label, columns.names) if column]
    tables = {
        part: rows(read, None)
        for part, rows in parts.items()
        if {*read} <= {*rows(None, None).columns}
    }
    written, named = labels_of(tables, columns, how.skip_unlabelled, how.labels_from, how.task)
    given = {part for part, labels in written.items() if {*labels} - {"", "-1"}}
    names = named or in_order({name for part in given for name in written[part] if name})
    known = [as_text(name) for name in names]
    labels = {part: found.codes(known if part in given else []) for part, found in written.items()}

    def take(part: str, rows: np.ndarray) -> Dataset:
        further = [name for name in parts[part](None, None).columns if name not in columns.used()]
        table = parts[part]([*columns.used(), *further], rows)
        numbered = names, labels[part][rows]
        dataset, _ = dataset_of(
            table, columns, numbered, labels_from=how.labels_from, task=how.task
        )
        unlabelled = int((labels[part] < 0).sum())
        left_out = {"without a label": unlabelled} if unlabelled else {}
        said = replace(dataset.provenance, part=part, left_out=left_out)
        dataset = replace(dataset, numbered=named is not None, provenance=said)
        return how.aligned(dataset)

    return Parts(source.name, labels, take)
