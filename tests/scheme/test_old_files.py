"""Files and links of earlier versions, as those wrote them: they open as what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bhpvas.heads import HeadId, parse_heads
from bhpvas.scheme.bundle import SchemeFile, read_scheme_file
from bhpvas.scheme.link import Link
from bhpvas.scheme.scheme import Scheme, load_scheme

OLD = Path(__file__).parent / "old"
NOON = "2025-01-31T12:00:00+00:00"
MODEL = {"id": "owner/name", "revision": "r1", "fingerprint": "0123456789abcdef"}
WEIGHTS = "fedcba9876543210"


def branched() -> Scheme:
    """A tree with two branches, a note and a redo, and keys that this version does not know."""
    scheme = (
        Scheme.started(
            MODEL | {"licence": "apache-2.0"},
            2,
            4,
            name="weiß 白",
            data={"name": "sample · evaluation", "fingerprint": "abc"},
            metrics={"accuracy": 0.92, "accuracy_interval": [0.9, 0.94], "n": 480},
            time=NOON,
        )
        .removing(parse_heads("L0H3"), time=NOON, note="by eye")
        .removing(
            parse_heads("L1H0,L1H1"), "lowest", {"k": 2}, {"accuracy": 0.9}, seed=7, time=NOON
        )
        .undone()
        .removing(parse_heads("L1H2"), time=NOON)
        .restoring(parse_heads("L0H3"), time=NOON)
        .undone()
    )
    document = json.loads(scheme.to_json())
    document["colour"] = "blue"
    document["steps"][1]["weights"] = {"sha256": "00ff"}
    return Scheme.from_json(json.dumps(document))


def recovered() -> Scheme:
    """A scheme of a model that lacks a head, with a recovery."""
    start = Scheme.started(MODEL, 2, 4, pruned=frozenset({HeadId(0, 0)}), time=NOON)
    scheme = start.removing(parse_heads("L0H1"), time=NOON)
    return scheme.recovered(WEIGHTS, "compensate", {"sentences": 240}, seed=3, time=NOON)


SCHEMES = {"branched.json": branched, "pruned.json": lambda: recovered().without_step(2)}

FILE = SchemeFile(recovered(), {WEIGHTS: bytes(range(256))})

LINKS = {
    "plain": Link(Scheme.started(MODEL | {"id": "sample", "revision": None}, 2, 4)),
    "full": Link(
        branched(),
        "owner/name",
        ("abc", "sample · evaluation"),
        ("calibration", 3),
        None,
        frozenset({HeadId(1, 2), HeadId(0, 1)}),
    ),
    "typed": Link(recovered().undone(), "owner/name", None, None, ("a ☃", "and another")),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_file_opens_and_is_written_as_it_was(name: str) -> None:
    scheme = load_scheme(OLD / name)
    assert scheme == SCHEMES[name]()
    assert scheme.to_json() == (OLD / name).read_text(encoding="utf-8")


def test_a_zip_opens_with_its_weights() -> None:
    assert read_scheme_file((OLD / "recovered.zip").read_bytes()) == FILE


@pytest.mark.parametrize("name", LINKS)
def test_a_link_opens(name: str) -> None:
    found = Link.from_text(json.loads((OLD / "links.json").read_text(encoding="utf-8"))[name])
    again = Link.from_text(LINKS[name].to_text())

    def timeless(link: Link) -> list[object]:
        steps = [
            (one.parent, one.what, one.heads, one.method, one.note) for one in link.scheme.steps
        ]
        return [
            steps,
            link.scheme.current,
            link.scheme.name,
            link.scheme.model,
            vars(link) | {"scheme": 0},
        ]

    assert timeless(found) == timeless(again)
    assert timeless(found)[-1] == vars(LINKS[name]) | {"scheme": 0}
    assert found.scheme.mask == LINKS[name].scheme.mask
