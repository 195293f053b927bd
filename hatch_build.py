"""What stands beside the package in a checkout lies in it in a wheel: bhpvas/storage/paths.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = ("sample_data", "streamlit_app.py", "pages", ".streamlit")


class ShippedFiles(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # An editable install reads them where they stand.
        if version == "standard":
            here = [name for name in SHIPPED if (Path(self.root) / name).exists()]
            build_data["force_include"] |= {name: f"bhpvas/app/{name}" for name in here}
