"""Where the files lie that ship with bhpvas and are no Python modules, and those that it keeps."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

_PACKAGE = Path(__file__).resolve().parent.parent


def sample_data_folder() -> Path:
    """The folder with ``sentences.tsv`` and ``model/``.

    >>> (sample_data_folder() / "sentences.tsv").is_file()
    True
    """
    return _shipped("sample_data")


def app_script() -> Path:
    """The script that Streamlit runs."""
    return _shipped("streamlit_app.py")


def cache_folder() -> Path:
    """Where this person's system keeps what can be made again; it may not exist yet."""
    return user_cache_path("bhpvas", appauthor=False)


def workspaces_folder() -> Path:
    """The folder in which the app keeps the work of this computer's user.

    It lies where the system keeps a program's data, or in the folder that ``BHPVAS_HOME`` names.
    """
    home = os.environ.get("BHPVAS_HOME")
    return (Path(home) if home else user_data_path("bhpvas", appauthor=False)) / "workspaces"


def _shipped(name: str) -> Path:
    """In a wheel inside the package, in a checkout beside it.

    There they have a folder of their own: Streamlit puts its script's folder on the search path,
    where modules of the package, such as ``datasets``, would hide others of that name.
    """
    inside = _PACKAGE / "app" / name
    return inside if inside.exists() else _PACKAGE.parent / name
