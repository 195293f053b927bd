"""bertviz's head view and model view as one self-contained page (Vig 2019).

The scripts are those of the installed packages: bertviz draws, with d3 as mpld3 carries it and
jQuery as XStatic carries it. bertviz itself would ask a CDN for these, and it writes its data into
the script as they are; here they are escaped, and the page forbids itself every request.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from bhpvas.text import plural, shortened

#: Lines that a browser draws without a pause; both views draw one a pair of tokens and head.
MOST_LINES = 60_000
#: Weights that are sent along for layers which are not on the screen yet.
MOST_WEIGHTS = 400_000
#: Tokens that are drawn at least, so that many heads leave a sentence and not a stump of it.
FEWEST_TOKENS = 16
_LONGEST_TOKEN = 16

_ROOT = "bertviz"
_DATA = "const params = PYTHON_PARAMS;"
# In place of require.js: both libraries are there already.
_REQUIRE = "const requirejs = (names, ready) => ready(jQuery, d3);"
_PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>bertviz</title>
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<style>
  html { color-scheme: $scheme; }
  body { margin: 0; padding: 10px; background: $ground; color: $text; font: 14px sans-serif; }
  svg text { fill: $text; }
  svg rect.background { fill: $hover; }
  svg rect.attn_background[fill="black"], svg rect[fill="black"] { fill: $ground; }
  select { font: inherit; margin: 0 0 8px; }
</style></head><body>
<div id="$root"><span$hidden>Layer <select id="layer"></select></span><div id="vis"></div></div>
<script>$jquery</script>
<script>$d3</script>
<script>$require
$view</script>
</body></html>
""")
_LIGHT = {"scheme": "light", "ground": "#ffffff", "text": "#1d2731", "hover": "#dde3e9"}
_DARK = {"scheme": "dark", "ground": "#14181d", "text": "#e4e9ee", "hover": "#3a434d"}


@dataclass(frozen=True)
class View:
    """A page to embed, the height in pixels that it needs, and what was left out (or nothing)."""

    html: str
    height: int
    note: str


def head_view(
    maps: np.ndarray,
    tokens: Sequence[str],
    *,
    layer: int = 0,
    heads: Sequence[int] | None = None,
    dark: bool = False,
) -> View:
    """All heads of one layer over each other, from maps ``[L, H, T, T]``.

    ``layer`` and ``heads`` are those shown at first; heads can be switched in the view.
    """
    layers, count, length, _ = maps.shape
    shown = _shown_tokens(length, count)
    chosen = _layers_around(layer, layers, MOST_WEIGHTS // (count * shown * shown))
    params = _params(maps, tokens, chosen, shown) | {"layer": layer, "heads": heads}
    return View(
        html=_page("head_view.js", params, dark=dark),
        height=math.ceil(shown * 22.5 + 30) + 60,
        note=_note(shown, length, chosen, layers),
    )


def model_view(
    maps: np.ndarray, tokens: Sequence[str], *, layer: int = 0, dark: bool = False
) -> View:
    """All heads of all layers as thumbnails, from maps ``[L, H, T, T]``.

    Where layers must be left out, those around ``layer`` stay.
    """
    layers, heads, length, _ = maps.shape
    shown = _shown_tokens(length, layers * heads)
    chosen = _layers_around(layer, layers, MOST_LINES // (heads * shown * shown))
    params = _params(maps, tokens, chosen, shown) | {
        "display_mode": "dark" if dark else "light",
        "include_heads": list(range(heads)),
        "total_heads": heads,
    }
    # As model_view.js computes it: thumbnails below each other, or the detail of one of them.
    thumbnail = shown * 7 * 12 / heads + 10
    height = max(len(chosen) * thumbnail + 38, shown * 18 + 55)
    return View(
        html=_page("model_view.js", params, dark=dark),
        height=math.ceil(height) + 40,
        note=_note(shown, length, chosen, layers),
    )


def _shown_tokens(length: int, maps: int) -> int:
    return min(length, max(math.isqrt(MOST_LINES // maps), FEWEST_TOKENS))


def _layers_around(layer: int, layers: int, most: int) -> list[int]:
    most = max(most, 1)
    first = min(max(layer - most // 2, 0), max(layers - most, 0))
    return list(range(first, min(first + most, layers)))


def _params(
    maps: np.ndarray, tokens: Sequence[str], layers: list[int], shown: int
) -> dict[str, Any]:
    weights = np.asarray(maps[layers, :, :shown, :shown], dtype=np.float64)  # [layers, H, T, T]
    names = [shortened(token, _LONGEST_TOKEN) for token in tokens[:shown]]
    attention = {"name": None, "attn": weights.round(3).tolist()}
    return {
        "attention": [attention | {"left_text": names, "right_text": names}],
        "default_filter": "0",
        "root_div_id": _ROOT,
        "include_layers": layers,
    }


def _note(shown: int, length: int, chosen: list[int], layers: int) -> str:
    parts = []
    if shown < length:
        parts.append(f"the first {shown} of {plural(length, 'token')}")
    if len(chosen) < layers:
        span = f"L{chosen[0]}" if len(chosen) == 1 else f"L{chosen[0]} to L{chosen[-1]}"
        parts.append(f"{span} of {plural(layers, 'layer')}")
    return f"Shown: {' and '.join(parts)}; more would take a browser too long." if parts else ""


def _page(script: str, params: dict[str, Any], *, dark: bool) -> str:
    view = _installed("bertviz", script)
    # What stands before the call tells require.js where on the network to look.
    before, mark, after = view[view.index("requirejs(") :].partition(_DATA)
    if not mark:
        raise RuntimeError(f"bertviz's {script} does not hold {_DATA!r}: its version is unknown.")
    return _PAGE.substitute(
        _DARK if dark else _LIGHT,
        root=_ROOT,
        hidden=" hidden" if script == "model_view.js" else "",
        jquery=_installed("XStatic-jQuery", "jquery.min.js"),
        d3=_installed("mpld3", "d3.v5.min.js"),
        require=_REQUIRE,
        view=f"{before}const params = {escaped_json(params)};{after}",
    )


def escaped_json(value: Any) -> str:
    """JSON that means the same inside a script element, whatever its strings hold.

    >>> escaped_json("</script><img src=x>")
    '"\\\\u003c/script\\\\u003e\\\\u003cimg src=x\\\\u003e"'
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _installed(package: str, name: str) -> str:
    """A script of an installed package, read without importing the package."""
    for file in distribution(package).files or ():
        if file.name == name:
            return Path(str(file.locate())).read_text(encoding="utf-8")
    raise RuntimeError(f"The installed package {package} holds no {name}.")
