"""The embedded bertviz views: whole, bounded, and harmless whatever the tokens are."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from bhpvas.charts.bertviz import (
    MOST_LINES,
    MOST_WEIGHTS,
    View,
    escaped_json,
    head_view,
    model_view,
)

HOSTILE = ["</script><img src=x onerror=alert(1)>", "<!--<script>", "PYTHON_PARAMS", "\u2028", "é"]
VIEWS = {"head": head_view, "model": model_view}


def maps(layers: int = 2, heads: int = 4, tokens: int = 5) -> np.ndarray:
    """Attention whose rows sum to 1 and which differs everywhere."""
    found = np.random.default_rng(0).random((layers, heads, tokens, tokens))
    return found / found.sum(-1, keepdims=True)


def params(view: View) -> dict:
    """What the view's script is given to draw."""
    text = view.html.partition("const params = ")[2]
    return json.JSONDecoder().raw_decode(text)[0]


class Elements(HTMLParser):
    """The elements of a page, and the addresses in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "data")]


@pytest.mark.parametrize("make", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_tokens_stay_data(make, dark) -> None:
    view = make(maps(), HOSTILE, dark=dark)
    elements = Elements(view.html)
    assert elements.tags.count("script") == 3
    assert "img" not in elements.tags and elements.addresses == []
    drawn = params(view)["attention"][0]["left_text"]
    assert drawn[0] == HOSTILE[0][:15] + "…" and drawn[1:] == HOSTILE[1:]


@pytest.mark.parametrize("make", VIEWS.values(), ids=VIEWS)
def test_the_page_asks_nobody_for_anything(make) -> None:
    html = make(maps(), HOSTILE).html
    assert "default-src 'none'" in html
    assert "cdnjs" not in html and "require.config" not in html
    # What is left are names of XML and comments, which no browser follows.
    hosts = set(re.findall(r"https?://([\w.-]+)", html))
    assert hosts <= {"www.w3.org", "d3js.org"}


def test_weights_arrive_once_and_as_they_are() -> None:
    weights = maps()
    view = model_view(weights, HOSTILE)
    assert view.html.count('"attn"') == 1
    np.testing.assert_allclose(params(view)["attention"][0]["attn"], weights, atol=6e-4)
    assert view.note == ""


def test_layer_and_heads_are_those_asked_for() -> None:
    found = params(head_view(maps(), HOSTILE, layer=1, heads=[2]))
    assert (found["layer"], found["heads"], found["include_layers"]) == (1, [2], [0, 1])


@pytest.mark.parametrize(("layers", "heads"), [(6, 12), (12, 12), (24, 16)])
def test_long_sentences_are_cut_with_a_note(layers, heads) -> None:
    whole = np.full((layers, heads, 96, 96), 1 / 96, dtype=np.float32)
    tokens = [str(number) for number in range(96)]
    for make, per_line in ((head_view, heads), (model_view, layers * heads)):
        view = make(whole, tokens, layer=layers - 1)
        drawn = params(view)
        shown = len(drawn["attention"][0]["left_text"])
        chosen = drawn["include_layers"]
        assert 16 <= shown < 96 and layers - 1 in chosen
        assert shown == 16 or shown**2 * per_line <= MOST_LINES
        assert len(chosen) == 1 or len(chosen) * heads * shown**2 <= MOST_WEIGHTS
        assert f"the first {shown} of 96 tokens" in view.note
        assert ("layers" in view.note) is (len(chosen) < layers)


def test_escaped_json_is_still_json() -> None:
    assert json.loads(escaped_json(HOSTILE)) == HOSTILE
    assert not set("<>&") & set(escaped_json(HOSTILE))
