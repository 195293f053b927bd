"""Work on disk: whole or not at all, never overwritten unseen, bounded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.provenance import Provenance
from bhpvas.errors import WorkspaceError
from bhpvas.ui.persistence import workspaces
from bhpvas.ui.persistence.workspaces import WorkChanged, Workspaces, new_id
from tests.folders import read_only

JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.text()
    | some.floats(allow_nan=False).filter(lambda number: abs(number) < 1e300),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=12,
)


@pytest.fixture
def works(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "works")


@given(content=some.dictionaries(some.text(), JSON))
def test_what_is_kept_is_what_is_read(
    content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    works, mine = Workspaces(tmp_path_factory.mktemp("works")), new_id()
    stamp = works.write(mine, content, after=None)
    kept = works.read(mine)
    assert (kept.content, kept.stamp, kept.id) == (content, stamp, mine)


def test_newer_work_is_not_overwritten(works: Workspaces) -> None:
    mine = new_id()
    first = works.write(mine, {"heads": 1}, after=None)
    works.write(mine, {"heads": 2}, after=first)
    with pytest.raises(WorkChanged):
        works.write(mine, {"heads": 3}, after=first)
    assert works.read(mine).content == {"heads": 2}


def test_the_same_change_made_twice_is_no_quarrel(works: Workspaces) -> None:
    mine = new_id()
    first = works.write(mine, {"heads": 1}, after=None)
    works.write(mine, {"heads": 2}, after=first)
    again = works.write(mine, {"heads": 2}, after=first)
    assert works.read(mine).stamp == again


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: b"",
        lambda text: text[: len(text) // 2],
        lambda text: b"\x00" * len(text),
        lambda text: b"\xff" + text,
        lambda text: text.replace(b'"heads": 1', b'"heads": 2'),
        lambda text: text.replace(b'"version": 1', b'"version": 2'),
        lambda text: b"[]",
        lambda text: b"null",
        lambda text: b"{}",
        lambda text: b'{"stamp": "0123456789abcdef"}',
        lambda text: b"[" * 100_000,
        lambda text: b"1" * 5000,
    ],
)
def test_damaged_work_is_a_sentence_and_stays_aside(works: Workspaces, damage: Any) -> None:
    mine = new_id()
    works.write(mine, {"heads": 1}, after=None)
    path = works.folder / f"{mine}.json"
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    assert works.latest(3) == []
    with pytest.raises(WorkspaceError, match="damaged") as error:
        works.read(mine)
    assert str(error.value).count(". ") == 0
    assert not path.exists()
    assert path.with_suffix(".damaged").read_bytes() == damaged


@pytest.mark.parametrize("name", ["", "../secret", "x" * 12, "0123456789ab/..", "0" * 12])
def test_an_unknown_name_is_a_sentence(works: Workspaces, name: str) -> None:
    with pytest.raises(WorkspaceError, match="fresh start"):
        works.read(name)


def test_a_folder_that_cannot_be_written_is_a_sentence(
    works: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    works.folder.mkdir()
    read_only(monkeypatch, works.folder)
    with pytest.raises(WorkspaceError, match="save the scheme"):
        works.write(new_id(), {}, after=None)
    assert list(works.folder.iterdir()) == []


def test_a_full_disk_is_a_sentence_and_what_was_there_stays(
    works: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = new_id()
    stamp = works.write(mine, {"heads": 1}, after=None)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspaces, "write_beside", full)
    with pytest.raises(WorkspaceError, match="No space left on device"):
        works.write(mine, {"heads": 2}, after=stamp)
    with pytest.raises(WorkspaceError, match="No space left on device"):
        works.keep_data(_sentences("a"))
    assert works.read(mine).content == {"heads": 1}


def test_the_latest_come_first(works: Workspaces) -> None:
    ids = [new_id() for _ in range(4)]
    for age, one in enumerate(reversed(ids)):
        works.write(one, {"number": age}, after=None)
        os.utime(works.folder / f"{one}.json", (1000 + age, 1000 + age))
    assert [kept.id for kept in works.latest(3)] == ids[:3]


def _sentences(word: str) -> Splits:
    data = Dataset(
        name=f"{word}.csv",
        texts=(f"{word} ☃ \x00", "NA"),
        pairs=("second", ""),
        labels=np.array([1, 0]),
        label_names=("no", "yes"),
        tags=("t", "u"),
        numbered=True,
        file=f"{word}.csv",
        unit="line",
        lines=(2, 7),
        groups={"length": ("short", "long")},
        provenance=Provenance(
            "review",
            "reply",
            "stars",
            "separated by tabs",
            "number",
            {"no label": 3},
            ("A guess.",),
        ),
    )
    return Splits(data.take([0]), data.take([1]), "by hand")


def test_sentences_come_back_whole(works: Workspaces) -> None:
    data = _sentences("a")
    name = works.keep_data(data)
    assert works.keep_data(_sentences("a")) == name
    found = works.read_data(name)
    assert found.made == data.made
    for part in ("calibration", "evaluation"):
        old, new = getattr(data, part), getattr(found, part)
        assert old.fingerprint == new.fingerprint
        for field in (
            "name", "texts", "pairs", "tags", "numbered", "file", "unit", "lines", "provenance",
        ):  # fmt: skip
            assert getattr(old, field) == getattr(new, field)
        assert dict(old.groups) == dict(new.groups)
        assert old.labels.dtype == new.labels.dtype


def test_sentences_of_before_say_nothing_of_how_they_were_read(
    works: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = workspaces._plain
    with monkeypatch.context() as patch:
        patch.setattr(
            workspaces,
            "_plain",
            lambda data: {name: one for name, one in plain(data).items() if name != "provenance"},
        )
        name = works.keep_data(_sentences("a"))
    found = works.read_data(name)
    assert found.evaluation.provenance == found.calibration.provenance == Provenance()


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b", b"no gzip", None])
def test_damaged_sentences_are_a_sentence(works: Workspaces, damage: bytes | None) -> None:
    name = works.keep_data(_sentences("a"))
    path = works.folder / f"{name}.data.gz"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(WorkspaceError, match="upload them again"):
        works.read_data(name)


def test_other_sentences_under_a_name_are_not_taken(works: Workspaces) -> None:
    one, other = works.keep_data(_sentences("a")), works.keep_data(_sentences("b"))
    (works.folder / f"{other}.data.gz").replace(works.folder / f"{one}.data.gz")
    with pytest.raises(WorkspaceError):
        works.read_data(one)


def _age(works: Workspaces, name: str, age: float) -> None:
    path = works.folder / name
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


def test_old_works_leave_with_what_only_they_use(
    works: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspaces, "MOST_WORKS", 2)
    names = [works.keep_data(_sentences(word)) for word in "abc"]
    ids = [new_id() for _ in names]
    for age, (one, name) in enumerate(zip(ids, names, strict=True)):
        works.write(one, {"data": name}, after=None)
        _age(works, f"{one}.json", 100.0 * (10 - age))
        _age(works, f"{name}.data.gz", 2 * workspaces.UNUSED)
    works.tidy()
    assert {kept.id for kept in works.latest(9)} == set(ids[1:])
    assert {path.name for path in works.folder.glob("*.gz")} == {
        f"{name}.data.gz" for name in names[1:]
    }


def test_what_no_work_refers_to_yet_stays_for_a_while(works: Workspaces) -> None:
    name = works.keep_data(_sentences("a"))
    works.tidy()
    assert works.read_data(name).made == "by hand"


def test_the_newest_work_stays_however_large(
    works: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspaces, "MOST_BYTES", 10)
    ids = [new_id(), new_id()]
    for age, one in enumerate(ids):
        works.write(one, {"text": "a" * 100}, after=None)
        _age(works, f"{one}.json", 100.0 * (2 - age))
    works.tidy()
    assert [kept.id for kept in works.latest(9)] == ids[1:]


def test_only_some_damaged_files_are_kept(
    works: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspaces, "MOST_DAMAGED", 1)
    for text in ("a", "b", "c"):
        works.folder.mkdir(exist_ok=True)
        (works.folder / f"{text}.damaged").write_text(text, encoding="utf-8")
    works.tidy()
    assert len(list(works.folder.glob("*.damaged"))) == 1


def test_a_file_is_json_that_a_person_can_read(works: Workspaces) -> None:
    mine = new_id()
    works.write(mine, {"heads": "L0H1"}, after=None)
    document = json.loads((works.folder / f"{mine}.json").read_text(encoding="utf-8"))
    assert document["format"] == workspaces.FORMAT
    assert document["work"] == {"heads": "L0H1"}
