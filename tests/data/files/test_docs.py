"""Every row of the table in docs/data.md: a small file of that kind is read as the row says."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pytest

from bhpvas.data.dataset import Dataset
from bhpvas.data.files.formats import FORMATS, PACKED, REFUSED
from bhpvas.data.reading import read_dataset
from bhpvas.errors import DataError

PAGE = Path(__file__).resolve().parents[3] / "docs" / "data.md"
#: Sentences and their labels, as every file below holds them.
TEXTS = ("It rained, and we left.", "The soup was good!", "Nobody came", "We stayed for hours.")
WORDS = ("bad", "good", "bad", "good")
GRADES = ("0", "1", "0", "1")


class Row(NamedTuple):
    """A row of the table: its name, the hint, and the address of the format's source."""

    name: str
    hint: str
    source: str


def table() -> list[Row]:
    formats = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
    lines = [line for line in formats.splitlines() if line[:2] == "| "]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1:]]
    return [Row(name, hint.strip("`"), source) for name, _, hint, source in rows]


class Case(NamedTuple):
    """A file of a row's kind, what makes it, its labels, and what is said of it."""

    file: str
    make: Callable[[Path], Any]
    labels: tuple[str, ...]
    form: str = ""


def lines(form: str, *, ending: str = "\n", head: str = "", code: str = "utf-8") -> Any:
    """A file of a line for each sentence, of its text, label, grade and number."""
    cells = zip(TEXTS, WORDS, GRADES, range(4), strict=True)
    rows = [form.format(text=t, label=w, grade=g, number=700 + n) for t, w, g, n in cells]
    content = head + ending.join([*rows, ""])
    return lambda path: path.write_bytes(content.encode(code))


def packed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("reviews/README.txt", "About the reviews.\n")
        archive.writestr("reviews/all.tsv", TSV)
        archive.writestr("__MACOSX/reviews/._all.tsv", b"\0")


def arrow(path: Path) -> None:
    content = pa.table({"text": TEXTS, "label": WORDS})
    with pa.ipc.new_file(path, content.schema) as writer:
        writer.write_table(content)


def saved(path: Path) -> None:
    """As ``datasets`` saves, which is no part of a plain installation."""
    path.mkdir()
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    content = pa.table({"text": TEXTS, "label": WORDS})
    with pa.ipc.new_stream(path / "data.arrow", content.schema) as writer:
        writer.write_table(content)


def folders(path: Path) -> None:
    for number, (text, word) in enumerate(zip(TEXTS, WORDS, strict=True)):
        (path / word).mkdir(parents=True, exist_ok=True)
        (path / word / f"{number}.txt").write_text(text)
    (path / "unsup").mkdir()
    (path / "unsup" / "0.txt").write_text("Who knows?")


TSV = "text\tlabel\n" + "".join(f"{t}\t{w}\n" for t, w in zip(TEXTS, WORDS, strict=True))
RECORDS = [{"text": text, "label": word} for text, word in zip(TEXTS, WORDS, strict=True)]
EXCEL = "".join(
    f'"{t}"\t{w}\r\n' if "," in t else f"{t}\t{w}\r\n" for t, w in zip(TEXTS, WORDS, strict=True)
)
CASES = {
    "TSV with a header, as GLUE has it": Case("a.tsv", lambda p: p.write_text(TSV), WORDS),
    "CSV with a header": Case("a.csv", lines('"{text}",{label}', head="text,label\n"), WORDS),
    "CSV with semicolons, or any of tabs, commas, semicolons and vertical bars under another "
    "ending": Case(
        "a.txt", lines("{text};{label}", head="text;label\n"), WORDS, "separated by semicolons"
    ),
    "CSV with Excel's first line `sep=;`": Case(
        "a.csv",
        lines("{text};{label}", head="sep=;\r\ntext;label\r\n", ending="\r\n"),
        WORDS,
        "separated by semicolons, as its first line says",
    ),
    'Excel\'s "Unicode Text"': Case(
        "a.txt",
        lambda p: p.write_bytes(("text\tlabel\r\n" + EXCEL).encode("utf-16")),
        WORDS,
        "quotation marks around cells taken off",
    ),
    "text in another encoding": Case(
        "a.csv",
        lines('"{text} Café “here”",{label}', head="text,label\n", code="cp1252"),
        WORDS,
    ),
    "CoLA": Case("a.tsv", lines("gj04\t{grade}\t\t{text}"), GRADES, "without a header"),
    "AG News": Case("a.csv", lines('"{grade}","Late","{text}"'), GRADES, "without a header"),
    "Yelp reviews": Case("a.csv", lines('"{grade}","{text}"'), GRADES, "without a header"),
    "SMS Spam Collection": Case("a.txt", lines("{label}\t{text}"), WORDS, "without a header"),
    "GoEmotions": Case("a.tsv", lines("{text}\t{grade}\teb{number}x"), GRADES, "without a header"),
    "SemEval, sentiment of tweets": Case(
        "a.txt", lines("{number}\t{label}\t{text}"), WORDS, "without a header"
    ),
    "SST-5, a grade and a space before the text": Case(
        "a.txt", lines("{grade} {text}"), GRADES, "lines of the form '0 text'"
    ),
    "TREC questions": Case(
        "a.txt",
        lambda p: p.write_bytes(
            "".join(
                f"{'ENTY' if w == 'bad' else 'LOC'}:{w} {t} Café\n"
                for t, w in zip(TEXTS, WORDS, strict=True)
            ).encode("latin-1")
        ),
        ("ENTY", "LOC", "ENTY", "LOC"),
        "lines of the form 'LABEL:sub text'",
    ),
    "labels in capitals before the text": Case(
        "a.txt",
        lambda p: p.write_text(
            "".join(f"{w.upper()} {t}\n" for t, w in zip(TEXTS, WORDS, strict=True))
        ),
        ("BAD", "GOOD", "BAD", "GOOD"),
        "lines of the form 'LABEL text'",
    ),
    "Stanford Sentiment Treebank, trees": Case(
        "a.txt",
        lambda p: p.write_text(
            "".join(
                f"({g} " + " ".join(f"(2 {word})" for word in t.split()) + ")\n"
                for t, g in zip(TEXTS, GRADES, strict=True)
            )
        ),
        GRADES,
        "lines of the form '(3 (2 It) (4 works))'",
    ),
    "Financial PhraseBank": Case(
        "a.txt",
        lines("{text} Café@{label}", code="latin-1"),
        WORDS,
        "lines of the form 'text@label'",
    ),
    "fastText": Case(
        "a.txt", lines("__label__{label} {text}"), WORDS, "lines of the form '__label__name text'"
    ),
    "JSONL": Case("a.jsonl", lambda p: p.write_text("\n".join(map(json.dumps, RECORDS))), WORDS),
    "JSON, an array": Case(
        "a.json",
        lambda p: p.write_text(json.dumps(RECORDS, indent=1)),
        WORDS,
        "an array of objects",
    ),
    "JSON, an object with the array": Case(
        "a.json",
        lambda p: pd.DataFrame(RECORDS).to_json(p, orient="table", index=False),
        WORDS,
        "the array in one object",
    ),
    "Parquet": Case("a.parquet", lambda p: pd.DataFrame(RECORDS).to_parquet(p), WORDS),
    "Arrow": Case("a.arrow", arrow, WORDS),
    "a folder saved by `datasets`": Case("kept", saved, WORDS, "saved by datasets"),
    "Large Movie Review Dataset (aclImdb), a folder for each class": Case(
        "reviews",
        folders,
        WORDS,
        "a folder of .txt files for each class (bad, good), 1 file without a label in unsup left "
        "out",
    ),
    "gzip": Case("a.tsv.gz", lambda p: p.write_bytes(gzip.compress(TSV.encode())), WORDS),
    "zip": Case("a.zip", packed, WORDS, "its file reviews/all.tsv"),
}


def hinted(hint: str) -> dict[str, Any]:
    """A hint of the command line as the library takes it."""
    words = shlex.split(hint)
    said: dict[str, Any] = {"header": False} if "--no-header" in words else {}
    options = [word for word in words if word != "--no-header"]
    return said | {name[2:]: value for name, value in zip(options[::2], options[1::2], strict=True)}


def test_every_row_of_the_page_has_its_case_and_the_source_of_its_format() -> None:
    assert [row.name for row in table()] == [*CASES]
    assert all(re.fullmatch(r"<https://[^ >]+>", row.source) for row in table())


@pytest.mark.parametrize("row", table(), ids=lambda row: row.name)
def test_a_row_of_the_page(row: Row, tmp_path: Path) -> None:
    case = CASES[row.name]
    path = tmp_path / case.file
    case.make(path)
    data = read_dataset(str(path), **hinted(row.hint))
    found = sorted(zip(texts(data), labels(data), strict=True))
    assert found == sorted(zip(TEXTS, case.labels, strict=True))
    encoding = re.findall("--encoding (.*)", row.hint)
    said = [f"text in {name.replace('latin-1', 'cp1252')}" for name in encoding]
    assert data.provenance.form == ", ".join([*said, *filter(None, [case.form])])
    if row.hint:  # without it, the file is refused in words that lead there
        with pytest.raises(DataError) as error:
            read_dataset(str(path))
        words = re.sub("cp1252", "latin-1", row.hint)
        assert words in str(error.value).replace("and the numbers of the columns, such as ", "")


def texts(data: Dataset) -> list[str]:
    return [re.sub("( “| Café).*", "", text) for text in data.texts]


def labels(data: Dataset) -> list[str]:
    return [data.label_names[label] for label in data.labels]


@pytest.mark.parametrize("ending", [*FORMATS, *PACKED, *REFUSED])
def test_the_page_names_every_ending(ending: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    said = {".xlsm", ".xlsb", ".numbers", ".tgz", ".rar", ".pickle", ".pth", ".joblib"}
    assert f"`{ending}`" in text or ending in said
    if ending in REFUSED:
        with pytest.raises(DataError) as error:
            read_dataset(io.BytesIO(b"PK"), name=f"a{ending}")
        assert str(error.value) == f"a{ending} {REFUSED[ending]}."
