"""What waits on disk reads like what is in memory, takes none of it, and is gone in the end."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.cli import main
from bhpvas.data import tables, text_store
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset, read_splits
from bhpvas.data.sampling import calibration_sample
from bhpvas.data.text_store import Gathering, Numbers, Texts
from bhpvas.errors import LimitError
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.ui.persistence.workspaces import Workspaces
from tests.conftest import TEXTS
from tests.folders import full_disk
from tests.tiny import save_tiny

SENTENCE = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on everything is too much for the memory."""
    monkeypatch.setattr(text_store, "IN_MEMORY", 1)


def gathered(texts: list[str], piece: int = 5) -> Texts:
    """The texts as they lie on disk."""
    gathering = Gathering()
    gathering._size = text_store.IN_MEMORY  # so that the next one is too much
    for start in range(0, len(texts), piece):
        gathering.extend(texts[start : start + piece])
    found = gathering.texts()
    assert isinstance(found, Texts)
    return found


@given(st.lists(SENTENCE, min_size=1, max_size=40).map(lambda texts: ["first", *texts]), st.data())
def test_texts_on_disk_are_a_sequence(texts: list[str], data: st.DataObject) -> None:
    found = gathered(texts)
    assert len(found) == len(texts) and list(found) == texts
    place = data.draw(st.integers(-len(texts), len(texts) - 1))
    assert found[place] == texts[place]
    part = data.draw(st.slices(len(texts)))
    assert list(found[part]) == texts[part]
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1)))
    assert list(found.take(np.array(rows, dtype=int))) == [texts[row] for row in rows]
    with pytest.raises(IndexError):
        found[len(texts)]


def test_texts_that_stand_far_apart(on_disk: None) -> None:
    texts = [f"sentence {number}" for number in range(600)]
    found = gathered(texts).take(np.array([599, 0, 300]))
    assert list(found) == ["sentence 599", "sentence 0", "sentence 300"]


@pytest.mark.parametrize("limit", [1, 2**20])
def test_numbers_are_those_that_were_appended(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_store, "IN_MEMORY", limit)
    numbers, whole = Numbers(np.int32), np.arange(1000, dtype=np.int32)
    for part in np.array_split(whole, 7):
        numbers.append(part)
        assert numbers[-1:].tolist() == part[-1:].tolist()  # reading between is allowed
    assert len(numbers) == 1000
    for part in (slice(None), slice(3, 500), slice(990, 2000), slice(5, 5)):
        assert (numbers[part] == whole[part]).all()


def test_any_thread_reads_what_it_asked_for(on_disk: None) -> None:
    texts = [f"sentence {number} " * (number % 9) for number in range(2000)]
    found = gathered(texts)
    with ThreadPoolExecutor(8) as pool:
        rows = [random.Random(seed).choices(range(2000), k=500) for seed in range(8)]
        read_by = pool.map(lambda drawn: [found[row] for row in drawn], rows)
        for drawn, read in zip(rows, read_by, strict=True):
            assert read == [texts[row] for row in drawn]


# --- data sets ------------------------------------------------------------------------------------


def file_of(rows: int, length: int = 0) -> io.BytesIO:
    """Pairs with tags, parts and a further column."""
    lines = ["text1\ttext2\tlabel\ttag\tsplit\tstars"]
    lines += [
        f"é {number}{'x' * length}\tpair {number}\t{'abc'[number % 3]}\t{'' if number % 4 else 't'}"
        f"\t{'train' if number % 2 else 'test'}\t{number % 5}"
        for number in range(rows)
    ]
    return io.BytesIO("\n".join(lines).encode())


def plain(data: Dataset) -> list[object]:
    """All that a dataset says."""
    pairs = None if data.pairs is None else list(data.pairs)
    columns = [data.labels.tolist(), data.lines.tolist(), data.tags, dict(data.groups)]
    return [list(data.texts), pairs, data.label_names, *columns, data.fingerprint, data.place(7)]


def test_a_dataset_is_the_same_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def everything() -> list[object]:
        data = read_dataset(file_of(200), name="a.tsv", split="")
        splits = read_splits(file_of(200), name="a.tsv")
        kept = Workspaces(tmp_path).keep_data(splits)
        parts = [
            splits.calibration,
            splits.evaluation,
            read_dataset(file_of(200), name="a.tsv"),
            Workspaces(tmp_path).read_data(kept).evaluation,
        ]
        parts += [data, data.take([50, 3, 3, *range(100, 110)]), data.aligned("cba")]
        parts += [
            calibration_sample(data, 60),
            read_splits(file_of(200), name="a.tsv", split="").evaluation,
        ]
        return [splits.made, kept, *map(plain, parts)]

    few = everything()
    monkeypatch.setattr(text_store, "IN_MEMORY", 1)
    assert isinstance(read_dataset(file_of(200), name="a.tsv").texts, Texts)
    assert everything() == few


def test_tokens_are_the_same_on_disk(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = replace(classifier, max_unknown=1.0)  # these words are numbers
    data = read_dataset(file_of(50), name="a.tsv", split="")
    few = classifier.encode(data)
    monkeypatch.setattr(text_store, "IN_MEMORY", 1)
    many = classifier.encode(read_dataset(file_of(50), name="a.tsv", split=""))
    assert few.fingerprint == many.fingerprint
    for row in range(50):
        assert (few.input_ids(row) == many.input_ids(row)).all()
        assert (few.token_type_ids(row) == many.token_type_ids(row)).all()


def test_memory_does_not_grow_with_the_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence takes some numbers, and not its 500 characters."""
    monkeypatch.setattr(text_store, "IN_MEMORY", 2**14)
    monkeypatch.setattr(tables, "ROWS", 200)
    peaks = []
    for rows in (2_000, 8_000):
        (tmp_path / "a.tsv").write_bytes(file_of(rows, 500).getvalue())
        tracemalloc.start()
        data = read_dataset(tmp_path / "a.tsv")
        assert data.fingerprint
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Where two texts begin and how long they are; line, label, tag and groups; all made twice.
    assert (peaks[1] - peaks[0]) / 6_000 < 150, peaks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and labelled sentences."""
    folder = tmp_path_factory.mktemp("spill")
    save_tiny(folder / "model")
    rows = [f"{text}\t{'np'[number % 2]}" for number, text in enumerate(TEXTS * 3)]
    rows = [row.replace("\tn", "\tnegative").replace("\tp", "\tpositive") for row in rows]
    (folder / "data.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    return folder


def command(folder: Path, *words: str) -> list[str]:
    return [*words, "--model", str(folder / "model"), "--data", str(folder / "data.tsv"), "--json"]


@pytest.mark.parametrize(
    "words",
    [["score", "--criteria", "all"], ["ablate"], ["evaluate", "--remove", "L0H1"], ["roles"]],
)
def test_a_command_prints_the_same_from_disk(
    words: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BHPVAS_CACHE", "off")
    said = []
    for limit in (2**20, 1):
        monkeypatch.setattr(text_store, "IN_MEMORY", limit)
        assert main.main(command(folder, *words)) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


# --- the disk -------------------------------------------------------------------------------------


def test_no_room_for_what_is_read_is_one_sentence(
    on_disk: None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = load_classifier(folder / "model")
    data = read_dataset(folder / "data.tsv")
    with full_disk():
        with pytest.raises(LimitError, match=r"no room in the temporary folder .*make room"):
            read_dataset(folder / "data.tsv")
        with pytest.raises(LimitError, match="make room"):
            classifier.encode(data)
        assert main.main(command(folder, "evaluate")) == 2
    said = capsys.readouterr().err
    assert "make room" in said and said.count("\n") == 1
    assert read_dataset(folder / "data.tsv").fingerprint == data.fingerprint


def test_nobody_sees_the_files_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    """Even while the process runs there is no name that a kill could leave behind."""
    script = """
import os, sys
from bhpvas.data import reading, text_store
text_store.IN_MEMORY = 1
data = reading.read_dataset(sys.argv[1])
numbers = text_store.Numbers("i4")
numbers.append(range(1000))
assert isinstance(data.texts, text_store.Texts) and data.texts[0] and len(numbers[:])
print(os.listdir(os.environ["TMPDIR"]))
"""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    seen = subprocess.run(
        [sys.executable, "-c", script, str(folder / "data.tsv")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not list(tmp_path.iterdir())
    if os.name == "posix":  # elsewhere a file keeps its name while it is open
        assert seen.stdout == "[]\n"


def test_a_file_is_closed_once_nobody_has_its_texts(on_disk: None) -> None:
    part = gathered(["one", "two"])[1:]
    assert isinstance(part, Texts)
    file = part._content._file
    assert not file.closed and list(part) == ["two"]
    del part
    assert file.closed
