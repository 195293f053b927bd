"""Folders: what datasets saved, texts by class, and one sentence for any other."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from bhpvas.data.files.formats import read_table
from bhpvas.data.reading import is_hub_id
from bhpvas.data.tables import Table
from bhpvas.errors import DataError

NAMES = {"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}


def arrow(path: Path, texts: list[str], labels: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"text": texts, "label": labels})
    table = table.replace_schema_metadata({"huggingface": json.dumps(NAMES)})
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


def saved(folder: Path, *shards: list[str]) -> None:
    names = [f"data-{number:05}-of-{len(shards):05}.arrow" for number in range(len(shards))]
    for name, texts in zip(names, shards, strict=True):
        arrow(folder / name, texts, [len(text) % 2 for text in texts])
    files = [{"filename": name} for name in names]
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))


def rows(table: Table) -> list[tuple[object, ...]]:
    pieces = list(table.pieces())
    return [row for piece in pieces for row in zip(*piece.cells.values(), strict=True)]


def numbers(table: Table) -> list[int]:
    return [number for piece in table.pieces() for number in piece.numbers]


def error_of(folder: Path) -> str:
    with pytest.raises(DataError) as error:
        rows(read_table(folder))
    message = str(error.value)
    assert "\n" not in message and message.endswith(".")
    return message


def test_shards_are_one_table(tmp_path: Path) -> None:
    saved(tmp_path / "kept", ["a", "bb"], ["c"], ["dd", "e"])
    table = read_table(tmp_path / "kept")
    assert rows(table) == rows(table) == [("a", 1), ("bb", 0), ("c", 1), ("dd", 0), ("e", 1)]
    assert numbers(table) == [1, 2, 3, 4, 5]
    assert table.class_names == {"label": ("bad", "good")}
    assert (table.name, table.form, table.unit) == ("kept", "saved by datasets", "row")


def test_parts_that_datasets_saved(tmp_path: Path) -> None:
    saved(tmp_path / "train", ["a"], ["bb"])
    saved(tmp_path / "test", ["c"])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    table = read_table(tmp_path)
    assert [*table.parts] == ["train", "test"]
    assert [rows(part) for part in table.parts.values()] == [[("a", 1), ("bb", 0)], [("c", 1)]]
    assert rows(table) == [("a", 1), ("bb", 0), ("c", 1)]
    assert table.parts["test"].place(1) == f"Row 1 of {tmp_path.name} (test)"
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    table = read_table(tmp_path)
    assert table.parts == {}
    assert rows(table) == [("a", 1), ("bb", 0)]
    assert table.form == "saved by datasets, its one part train"


@pytest.mark.parametrize(
    "state",
    [
        "{",
        "[]",
        "{}",
        '{"_data_files": []}',
        '{"_data_files": [{"filename": "../other/data.arrow"}]}',
        '{"_data_files": [{"filename": 3}]}',
        '{"_data_files": ["data.arrow"]}',
        '{"_data_files": 3}',
        '{"_data_files": [{"filename": "data.arrow"}], "_indices_data_files": [{}]}',
        '{"_data_files": [{"filename": "lost.arrow"}]}',
    ],
)
def test_a_saved_folder_that_is_damaged(state: str, tmp_path: Path) -> None:
    arrow(tmp_path / "kept" / "data.arrow", ["a"], [1])
    arrow(tmp_path / "other" / "data.arrow", ["b"], [0])
    (tmp_path / "kept" / "state.json").write_text(state)
    assert "kept" in error_of(tmp_path / "kept")


@pytest.mark.parametrize(
    "splits", ["{", "{}", '{"splits": []}', '{"splits": ["../x"]}', '{"splits": [".."]}', "3"]
)
def test_saved_parts_that_are_damaged(splits: str, tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text(splits)
    assert "dataset_dict.json is damaged" in error_of(tmp_path)


def texts(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


MOVIES = {
    "README": "About",
    "train/pos/0_9.txt": "A fine\nfilm.\n",
    "train/pos/1_10.txt": "Lovely.",
    "train/neg/0_2.txt": "Dull.",
    "train/unsup/0_0.txt": "Who knows?",
    "train/unsup/1_0.txt": "Nobody.",
    "train/urls_pos.txt": "a list",
    "train/labeledBow.feat": "9 0:9",
    "test/pos/0_8.txt": "Good.",
    "test/neg/0_1.txt": "Bad.",
    "test/neg/notes.md": "not a text",
}


def test_texts_by_part_and_class(tmp_path: Path) -> None:
    texts(tmp_path / "reviews", MOVIES)
    table = read_table(tmp_path / "reviews")
    assert {name: rows(part) for name, part in table.parts.items()} == {
        "test": [("Bad.", "neg"), ("Good.", "pos")],
        "train": [("Dull.", "neg"), ("A fine\nfilm.", "pos"), ("Lovely.", "pos")],
    }
    assert table.parts["train"].form == (
        "a folder of .txt files for each class (neg, pos), 2 files without a label in unsup left "
        "out"
    )
    assert table.parts["test"].form == (
        "a folder of .txt files for each class (neg, pos), 1 other file or folder in them left out"
    )
    train = read_table(tmp_path / "reviews" / "train")
    assert rows(train) == rows(table.parts["train"])
    assert train.place(1) == "File 1 of train"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neg/0_2.txt of train is empty: remove it."),
        (b" \n", "neg/0_2.txt of train is empty: remove it."),
        (b"caf\xe9", "Line 1 of neg/0_2.txt of train has a byte (0xe9) that is not UTF-8"),
        (b"a\0b", "neg/0_2.txt of train is a binary file"),
        (b"x" * 2**21, "neg/0_2.txt of train has more than 1,048,576 characters"),
    ],
)
def test_a_text_that_cannot_be_used_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    texts(tmp_path, MOVIES)
    (tmp_path / "train" / "neg" / "0_2.txt").write_bytes(content)
    assert error_of(tmp_path / "train").startswith(said)
    if content == b"caf\xe9":
        table = read_table(tmp_path / "train", encoding="latin-1")
        assert rows(table)[0] == ("café", "neg")
        assert table.form.endswith(", text in cp1252")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "here is a folder that holds no data which is read"),
        ({"config.json": "{}"}, "here is a folder, in which are config.json: name the file."),
        ({"a/1.txt": "One class."}, "here is a folder that holds no data which is read"),
        (
            {"train.csv": "", "test.csv": "", "README.md": ""},
            "here is a folder, in which are test.csv, train.csv: name the file.",
        ),
        ({"pos/1.md": "", "neg/1.md": ""}, "here is a folder that holds no data which is read"),
        (
            {"data/test-0.parquet": "", "data/train-0.parquet": "", "README.md": ""},
            "here is a folder, in which are data/test-0.parquet, data/train-0.parquet: name the",
        ),
    ],
)
def test_a_folder_that_is_no_data(files: dict[str, str], said: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    texts(tmp_path / "here", files)
    assert error_of(tmp_path / "here").startswith(said)


def test_a_text_that_is_gone_is_named(tmp_path: Path) -> None:
    texts(tmp_path, MOVIES)
    (tmp_path / "train" / "pos" / "lost.txt").symlink_to(tmp_path / "nowhere.txt")
    assert error_of(tmp_path / "train").startswith("There is no file ")
    (tmp_path / "train" / "neg" / "a.txt").mkdir()
    assert "a.txt cannot be read: " in error_of(tmp_path / "train")


def test_what_is_there_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("imdb") and is_hub_id("owner/imdb")
    (tmp_path / "imdb").mkdir()
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "imdb").write_text("x")
    assert not is_hub_id("imdb") and not is_hub_id("owner/imdb") and is_hub_id("imdb@main")
    assert error_of(Path("imdb")).endswith("(the hub's data set of that name is imdb@main).")
    assert error_of(Path("owner/imdb")).startswith("imdb has no ending")


def test_what_systems_hide_is_no_text(tmp_path: Path) -> None:
    """As an archive made on a Mac unpacks: for each file another one that begins with ._"""
    hidden = {f"a/{name}": "hidden" for name in ("._1.txt", ".hidden.txt", ".DS_Store")}
    texts(tmp_path / "seen", {"a/1.txt": "One.", "b/1.txt": "Two."} | hidden)
    table = read_table(tmp_path / "seen")
    assert rows(table) == [("One.", "a"), ("Two.", "b")]
    assert table.form == "a folder of .txt files for each class (a, b)"


def test_what_lies_deeper_than_the_texts_of_a_class_is_said(tmp_path: Path) -> None:
    files = {"a/1.txt": "One.", "b/1.txt": "Two.", "b/more/2.txt": "Three.", "b/3.html": "Four."}
    texts(tmp_path / "deep", files)
    table = read_table(tmp_path / "deep")
    assert rows(table) == [("One.", "a"), ("Two.", "b")]
    assert table.form.endswith("(a, b), 2 other files or folders in them left out")


@pytest.mark.parametrize("part", ["Test", "TEST", "test"])
def test_a_part_is_one_whatever_its_capitals(part: str, tmp_path: Path) -> None:
    files = {f"{part}/{name}/1.txt": f"On {name}." for name in ("sea", "land")}
    texts(tmp_path / "trips", files | {f"Train/{name}/1.txt": name for name in ("sea", "land")})
    table = read_table(tmp_path / "trips")
    assert {*table.parts} == {"Train", part}
    assert rows(table.parts[part]) == [("On land.", "land"), ("On sea.", "sea")]
