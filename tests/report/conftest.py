"""Fixtures of the reports' tests: a scheme with a hostile name, its report, and what it says."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from bhpvas import write_report
from bhpvas.data.provenance import Provenance
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId
from bhpvas.recovery import recover
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import propose
from tests.tiny import many_sentences

EVIL = "</script><img src=x onerror=alert(1)>"


CALIBRATION = many_sentences(40)


COMMAND = "bhpvas report --scheme 's 1.json' --out report.html"


def evaluation_data():
    """Sentences with tags, one of each of them hostile."""
    plain = many_sentences(30, seed=1)
    tags = (EVIL, *("odd" if index % 2 else "even" for index in range(1, 30)))
    source = Provenance(EVIL, None, "stars", "separated by tabs", None, {"no label": 2}, (EVIL,))
    texts = (EVIL, *plain.texts[1:])
    return replace(plain, name="measured", texts=texts, tags=tags, provenance=source)


EVALUATION = evaluation_data()


@dataclass
class Reading(HTMLParser):
    """What a browser would see of a page: its text, elements, addresses and figures."""

    text: list[str] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    specs: list[dict] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._json = self._code = False

    @classmethod
    def of(cls, html: str) -> Reading:
        found = cls()
        found.feed(html)
        return found

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.elements.append(tag)
        self.addresses += [given[name] for name in ("href", "src", "action") if name in given]
        self._json = given.get("type") == "application/json"
        self._code = tag in ("script", "style")
        if "download" in given:
            self.files[given["download"]] = unquote(given["href"].partition(",")[2])
        assert not any(name.startswith("on") for name in given)

    def handle_data(self, data):
        if self._json:
            self.specs.append(json.loads(data))
        elif not self._code:
            self.text.append(data)

    def handle_endtag(self, tag):
        self._json = self._code = False

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(io.StringIO(self.files[f"{name}.csv"]))


@pytest.fixture(scope="package")
def scheme(classifier, tmp_path_factory) -> tuple[Scheme, Path]:
    """Proposed, recovered, and with a branch that was left; the folder of its weights."""
    folder = tmp_path_factory.mktemp("weights")
    found = propose(classifier, CALIBRATION, "fisher", heads=3)
    made = Scheme.of(classifier, name=f"main {EVIL}")
    made = made.removing([HeadId(1, 0)]).undone()
    made = made.removing(found.heads, "fisher", found.record(), seed=0, note=EVIL)
    fitted = recover(classifier, CALIBRATION, made.mask)
    fitted.weights.save(folder)
    record = fitted.record()
    return made.recovered(fitted.weights.fingerprint, "compensate", record, seed=0), folder


@pytest.fixture(scope="package")
def report(classifier, scheme, tmp_path_factory):
    """The report, and the file."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    made = write_report(
        classifier,
        scheme[0],
        path,
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        weights=scheme[1],
        random=3,
        ablation=True,
        command=COMMAND,
    )
    return made, path


@pytest.fixture(scope="package")
def page_of(report) -> Reading:
    return Reading.of(report[1].read_text(encoding="utf-8"))


@pytest.fixture(scope="package")
def both(classifier, scheme):
    """The unpruned and the pruned model on the evaluation sentences."""
    made, folder = scheme
    return evaluate(classifier, EVALUATION), evaluate(
        made.on(classifier, folder), EVALUATION, made.mask
    )
