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
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.files.formats import is_table_name, read_table
from bhpvas.data.first_rows import FirstRows
from bhpvas.data.hub import HubId, further_columns, load_parts, part_table
from bhpvas.data.parts import chosen_parts, divided, splits_of_parts
from bhpvas.data.sampling import SENTENCES
from bhpvas.data.tables import Table
from bhpvas.storage.paths import sample_data_folder

Source: TypeAlias = str | Path | BinaryIO | Table
CALIBRATION_SHARE = 1 / 3


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
) -> Splits:
    """Read labelled sentences in a calibration and an evaluation part.

    ``source`` is a file or folder of a kind that docs/data.md lists, a binary stream with the
    ``name`` of such a file, a :class:`~bhpvas.data.tables.Table`, or a hub id: ``name``,
    ``name:config``, ``name@revision``. ``header`` says whether the first row of delimited text
    names the columns (None: it shows), ``encoding`` what text is that is not UTF-8.
    The columns are guessed by :func:`guess_columns` unless they are named; ``""`` says that there
    is none. ``skip_unlabelled`` leaves rows out whose label is empty, NA, NaN, null, -1 or a dash,
    and counts them in the provenance. ``labels_from`` says that labels are the model's numbers,
    counted from there; names that the source has for them do not count then.

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
    choice = {"text": text, "pair": pair, "label": label, "tag": tag}
    table = _opened(source, name, header, encoding)
    if isinstance(table, _Parts):
        parts = _labelled(table, choice, skip_unlabelled, labels_from)
        return splits_of_parts(table.name, *parts, calibration_share, seed, sentences)
    columns = columns_of(table, **choice, split=split)
    whole, rows = dataset_of(
        table, columns, skip_unlabelled=skip_unlabelled, labels_from=labels_from
    )
    if columns.split is None:
        return divided(whole, calibration_share, seed)
    return splits_of_parts(
        whole.name,
        {part: whole.labels[rows[part]] for part in rows},
        lambda part, chosen: whole.take(rows[part][chosen]),
        calibration_share,
        seed,
        sentences,
    )


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
    skip_unlabelled: bool = False,
    labels_from: int | None = None,
) -> Dataset:
    """Read every sentence of a source, whatever its parts; arguments as in :func:`read_splits`.

    Of a hub id, or a folder that has parts, it is the one that :func:`read_splits` measures on.

    Raises :class:`~bhpvas.errors.DataError` with the place of whatever cannot be used.

    >>> import io
    >>> import bhpvas
    >>> rows = ["review,stars", "A fine film.,good", "A dull one.,bad"]
    >>> file = io.BytesIO("\\n".join(rows).encode())
    >>> bhpvas.read_dataset(file, name="films.csv", label="stars")
    Dataset('films.csv', 2 sentences, labels ('bad', 'good'))
    """
    choice = {"text": text, "pair": pair, "label": label, "tag": tag}
    table = _opened(source, name, header, encoding)
    if isinstance(table, _Parts):
        labels, take = _labelled(table, choice, skip_unlabelled, labels_from)
        learn, measure, rows = chosen_parts(table.name, labels)
        if learn is None or measure is None:
            splits = splits_of_parts(table.name, labels, take, CALIBRATION_SHARE, 0, None)
            return splits.evaluation
        # What is there to learn from need not be read.
        return replace(take(measure, rows[measure]), name=f"{table.name} · evaluation")
    columns = columns_of(table, **choice)
    parts, columns = columns.split, replace(columns, split=None)
    dataset, _ = dataset_of(
        table, columns, skip_unlabelled=skip_unlabelled, labels_from=labels_from
    )
    note = f"All parts in the column {parts} are read together." if parts else ""
    return replace(dataset, provenance=dataset.provenance.noted(note))


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


def has_parts(source: Source) -> bool:
    """Whether a source is a hub id, or a folder that has parts to learn from and to measure on."""
    return is_hub_id(source) or (
        isinstance(source, str | Path)
        and os.path.isdir(os.path.expanduser(source))
        and bool(read_table(source).parts)
    )


def columns_of(table: Table, **choice: str | None) -> Columns:
    """Which column of a table holds what, as :func:`guess_columns` finds it with its first rows."""
    return guess_columns(
        table.columns,
        **choice,
        name=table.name,
        rows=FirstRows.of(table),
        classes=table.class_names,
        nested=table.nested,
    )


#: A part of a source as a table, with these columns and these rows (counted from 0), None = all.
_Part: TypeAlias = Callable[[Sequence[str] | None, np.ndarray | None], Table]


@dataclass(frozen=True)
class _Parts:
    """The parts that a source has, by name."""

    name: str
    parts: Mapping[str, _Part]


def _opened(
    source: Source, name: str | None, header: bool | None, encoding: str | None
) -> Table | _Parts:
    """The table that a source is, or its parts."""
    if is_hub_id(source):
        hub_id = HubId.parse(source)
        loaded = load_parts(hub_id)
        hub = {
            part: partial(_hub_part, rows, f"{hub_id} ({part})") for part, rows in loaded.items()
        }
        return _Parts(str(hub_id), hub)
    if not isinstance(source, Table):
        source = read_table(source, name=name, header=header, encoding=encoding)
    parts = {part: partial(_table_part, table) for part, table in source.parts.items()}
    return _Parts(source.name, parts) if parts else source


def _hub_part(
    part: Any, name: str, columns: Sequence[str] | None, rows: np.ndarray | None
) -> Table:
    return part_table(part, name, further_columns(part) if columns is None else columns, rows)


def _table_part(table: Table, columns: Sequence[str] | None, rows: np.ndarray | None) -> Table:
    return table if rows is None else table.take(rows)


def _labelled(
    source: _Parts,
    choice: Mapping[str, str | None],
    skip_unlabelled: bool,
    labels_from: int | None,
) -> tuple[dict[str, np.ndarray], Callable[[str, np.ndarray], Dataset]]:
    """Labels of every part, as in :func:`splits_of_parts`, and what takes rows of one."""
    parts = source.parts
    first = replace(next(iter(parts.values()))(None, None), name=source.name)
    columns = columns_of(first, **choice, split="")
    read = [column for column in (columns.label, columns.names) if column]
    tables = {
        part: rows(read, None)
        for part, rows in parts.items()
        if {*read} <= {*rows(None, None).columns}
    }
    written, named = labels_of(tables, columns, skip_unlabelled, labels_from)
    given = {part for part, labels in written.items() if {*labels} - {"", "-1"}}
    names = named or in_order({name for part in given for name in written[part] if name})
    known = [as_text(name) for name in names]
    labels = {part: found.codes(known if part in given else []) for part, found in written.items()}

    def take(part: str, rows: np.ndarray) -> Dataset:
        further = [name for name in parts[part](None, None).columns if name not in columns.used()]
        table = parts[part]([*columns.used(), *further], rows)
        numbered = names, labels[part][rows]
        dataset, _ = dataset_of(table, columns, numbered, labels_from=labels_from)
        unlabelled = int((labels[part] < 0).sum())
        left_out = {"without a label": unlabelled} if unlabelled else {}
        said = dataset.provenance.noted(f"The sentences are those of the part {part}.")
        said = replace(said, left_out=left_out)
        return replace(dataset, numbered=named is not None, provenance=said)

    return labels, take
