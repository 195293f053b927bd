"""The version of bhpvas, where every module can read it, and those of what it stands on."""

from __future__ import annotations

import platform
from importlib.metadata import version

__version__ = "0.1.0"


def versions(*packages: str) -> dict[str, str]:
    """Python's version, that of bhpvas, and those of installed packages, by name."""
    return {
        "Python": platform.python_version(),
        "bhpvas": __version__,
        **{package: version(package) for package in packages},
    }
