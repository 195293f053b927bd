"""axe-core in the browser tests: what of a page nobody can reach, read or hear."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

#: What axe calls these keeps somebody from using the page.
GRAVE = {"serious", "critical"}
#: Rules that Streamlit's own elements break, each with where: nothing of it can be set from here.
SHELL: dict[str, tuple[str, ...]] = {}


def grave(page: Page) -> list[str]:
    """What axe finds serious or critical on a page: the rule, the element and what is wrong."""
    found = Axe().run(page).response["violations"]
    return [
        _line(rule, node)
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
        if not any(part in " ".join(_path(node)) for part in SHELL.get(rule["id"], ()))
    ]


def _path(node: dict[str, Any]) -> list[str]:
    """The selector of an element, through shadow roots."""
    return [part if isinstance(part, str) else " ".join(part) for part in node["target"]]


def _line(rule: dict[str, Any], node: dict[str, Any]) -> str:
    said = [one["message"] for one in node["any"] + node["all"] + node["none"]]
    return f"{rule['id']}: {' '.join(_path(node))}: {node['html'][:200]}: {'; '.join(said)[:300]}"
