"""Where the files lie that ship with bhpvas and are no Python modules of it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def sample_data_folder() -> Path:
    """The folder with ``sentences.tsv`` and ``model/``.

    >>> (sample_data_folder() / "sentences.tsv").is_file()
    True
    """
    return _shipped("sample_data")


def app_script() -> Path:
    """The script that Streamlit runs."""
    return _shipped("streamlit_app.py")


def _shipped(name: str) -> Path:
    """In a wheel inside the package, in a checkout beside it."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name
