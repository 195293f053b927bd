"""Where the files lie that ship with bhpvas and are no Python modules, and those that it keeps."""

from __future__ import annotations

import os
import sys
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


def cache_folder() -> Path:
    """Where this person's system keeps what can be made again; it may not exist yet."""
    return _own_folder("Cache", "Caches", "XDG_CACHE_HOME", ".cache")


def workspaces_folder() -> Path:
    """Where the app keeps this person's work, or in the folder that ``BHPVAS_HOME`` names; it may
    not exist yet.
    """
    chosen = os.environ.get("BHPVAS_HOME")
    if chosen:
        return Path(chosen).expanduser() / "workspaces"
    return (
        _own_folder("Data", "Application Support", "XDG_DATA_HOME", ".local/share") / "workspaces"
    )


def _own_folder(windows: str, mac: str, variable: str, otherwise: str) -> Path:
    """The folder for bhpvas among a person's files of some kind."""
    home = Path.home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "bhpvas" / windows
    if sys.platform == "darwin":
        return home / "Library" / mac / "bhpvas"
    # XDG Base Directory Specification: what is not absolute is to be ignored.
    given = Path(os.environ.get(variable, ""))
    return (given if given.is_absolute() else home / otherwise) / "bhpvas"


def _shipped(name: str) -> Path:
    """In a wheel inside the package, in a checkout beside it.

    There they have a folder of their own: Streamlit puts its script's folder on the search path,
    where modules of the package, such as ``datasets``, would hide others of that name.
    """
    inside = _PACKAGE / "app" / name
    return inside if inside.exists() else _PACKAGE.parent / name
