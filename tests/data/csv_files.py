"""CSV files by their lines, read as datasets."""

from __future__ import annotations

import io

import pytest

from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset
from bhpvas.errors import DataError


def csv_file(*lines: str) -> io.BytesIO:
    return io.BytesIO("\n".join(lines).encode())


def read(*lines: str, **columns: str) -> Dataset:
    return read_dataset(csv_file(*lines), name="a.csv", **columns)


def error_of(*lines: str, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        read(*lines, **columns)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message
