"""Reports: their numbers are the library's, what a person wrote stays text, nothing is fetched."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from bhpvas import text, write_report
from bhpvas.charts import style
from bhpvas.criteria import DEFAULT_CRITERIA, score
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.comparison import accuracy_change_interval, flips, mcnemar, measures
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.evaluation.slices import groupings, sentence_table, slice_table
from bhpvas.export import export_model
from bhpvas.heads import HeadId, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.progress import Cancelled
from bhpvas.recovery import recover
from bhpvas.report import Asked, ReportError, make_report
from bhpvas.report.findings import own_order
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import propose
from bhpvas.search.curves import measure_curve
from bhpvas.version import versions
from tests.recovery.test_recovery import many_sentences

EVIL = "</script><img src=x onerror=alert(1)>"
CALIBRATION = many_sentences(40)
COMMAND = "bhpvas report --scheme 's 1.json' --out report.html"


def evaluation_data():
    """Sentences with tags, one of each of them hostile."""
    plain = many_sentences(30, seed=1)
    tags = (EVIL, *("odd" if index % 2 else "even" for index in range(1, 30)))
    return replace(plain, name="measured", texts=(EVIL, *plain.texts[1:]), tags=tags)


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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def page_of(report) -> Reading:
    return Reading.of(report[1].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def both(classifier, scheme):
    """The unpruned and the pruned model on the evaluation sentences."""
    made, folder = scheme
    return evaluate(classifier, EVALUATION), evaluate(
        made.on(classifier, folder), EVALUATION, made.mask
    )


def test_the_saved_tree_shows_the_step_of_the_report_as_it_is_drawn(page_of):
    (current,) = [
        trace
        for spec in page_of.specs
        for trace in spec["data"]
        if trace.get("name") == "the step that this report is of"
    ]
    assert current["showlegend"] and current["marker"]["color"] == style.SELECTED


def test_the_opening_says_what_it_costs(page_of, both, classifier):
    before, after = both
    change, test = accuracy_change_interval(before, after), mcnemar(before, after)
    assert "3 of 8 attention heads are removed, and the rest is compensated." in page_of.said
    for one in both:
        accuracy = f"{text.percent(one.accuracy)}% {text.interval(*one.accuracy_interval)}"
        assert accuracy in page_of.said
    assert f"{text.signed(100 * change.change)} points" in page_of.said
    assert text.change_interval(change.low, change.high) in page_of.said
    assert f"{len(flips(before, after))} answers of 30 changed, {test.lost} lost" in page_of.said
    assert f"{text.p_value(test.p)} (McNemar)" in page_of.said


def test_model_data_versions_and_command_are_named(page_of, classifier):
    said = page_of.said
    assert classifier.fingerprint in said and classifier.source in said
    assert "2 layers × 4 heads of size 8" in said and "negative, positive" in said
    for name, version in versions("torch", "transformers", "plotly").items():
        assert f"{name} {version}" in said
    assert COMMAND in said
    data = page_of.table("data").set_index("split")
    for name, one in (("calibration", CALIBRATION), ("evaluation", EVALUATION)):
        row = data.loc[name]
        assert (row["name"], row["sentences"], row["fingerprint"]) == (
            one.name,
            len(one),
            one.fingerprint,
        )
        assert [row["negative"], row["positive"]] == np.bincount(one.labels).tolist()
    assert Scheme.from_json(page_of.files["scheme.json"]).name == f"main {EVIL}"


def test_the_measures_are_those_of_a_comparison(page_of, both, classifier):
    found = page_of.table("measures")
    named = dict(zip(("Unpruned", "Pruned"), both, strict=True))
    expected = measures(classifier, named, classifier.encode(EVALUATION).lengths)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_every_step_on_the_way_is_measured(page_of, scheme, classifier):
    made, folder = scheme
    found = page_of.table("steps").set_index("step")
    for step in made.path():
        here = made.at(step.id)
        expected = evaluate(here.on(classifier, folder), EVALUATION, here.mask)
        row = found.loc[step.id]
        assert row["accuracy"] == expected.accuracy
        assert row["loss"] == pytest.approx(expected.loss, abs=1e-6)
        assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(
            expected.accuracy_interval
        )
    branch = found.loc[1]  # never measured, so nothing is said of it
    assert np.isnan(branch["accuracy"]) and branch["heads"] == "L1H0"
    assert "not measured" in page_of.said
    assert "learnt from 40 sentences of many" in found.loc[3, "settings"]


def test_the_reasons_are_those_of_the_proposal(page_of, classifier):
    found = page_of.table("reasons-step-2")
    expected = propose(classifier, CALIBRATION, "fisher", heads=3)
    assert found["head"].tolist() == [str(head) for head in expected.heads]
    assert found["reason"].tolist() == [removal.reason for removal in expected.removals]


def test_the_scores_are_those_of_the_unpruned_model(page_of, classifier):
    found = page_of.table("heads")
    expected = score(classifier, CALIBRATION)
    for name in DEFAULT_CRITERIA:
        assert found[name].to_numpy() == pytest.approx(expected.values[name].ravel(), rel=1e-6)
        alone = page_of.table(name)
        assert alone[name].to_numpy() == pytest.approx(found[name].to_numpy())
        assert alone[f"{name} rank"].tolist() == found[f"{name} rank"].tolist()
    removed = ablate(classifier, CALIBRATION)
    assert found["ablation-loss"].to_numpy() == pytest.approx(removed.loss_change.ravel(), abs=1e-6)
    criteria = page_of.table("criteria").set_index("criterion")
    kept = found["kept"].to_numpy()
    importance = expected.values["importance"].ravel()
    row = criteria.loc["Importance"]
    assert row["median_kept"] == pytest.approx(np.median(importance[kept]))
    assert row["median_removed"] == pytest.approx(np.median(importance[~kept]))


def test_the_curves_are_one_evaluation_a_point(page_of, scheme, both, classifier):
    found, made = page_of.table("curves"), scheme[0]
    own = found[(found["method"] == "this scheme") & (found["recovery"] == "none")]
    order = own_order(made)
    assert list(own["removed"]) == [0, 1, 2, 3]
    for row in own.itertuples():
        mask = classifier.full_mask().without(order[: row.removed])
        assert row.accuracy == evaluate(classifier, EVALUATION, mask).accuracy
    recovered = found[(found["method"] == "this scheme") & (found["recovery"] == "compensate")]
    # The scheme was compensated on the same sentences, so its curve ends where it stands.
    assert recovered["accuracy"].iloc[-1] == both[1].accuracy
    counts = sorted(found["removed"].unique())
    for method, recovery, seed in (
        ("importance", None, 0),
        ("importance", "compensate", 0),
        ("random", None, 2),
    ):
        expected = measure_curve(
            classifier, CALIBRATION, EVALUATION, method, counts, recovery=recovery, seed=seed
        )
        rows = found[
            (found["method"] == method)
            & (found["recovery"] == (recovery or "none"))
            & (found["seed"] == seed)
        ]
        assert tuple(rows["accuracy"]) == expected.accuracy
    assert set(found.loc[found["method"] == "random", "seed"]) == {0, 1, 2}


def test_changed_answers_and_slices(page_of, both, classifier):
    before, after = both
    lengths = classifier.encode(EVALUATION).lengths
    found = page_of.table("changed-sentences")
    expected = sentence_table(EVALUATION, before, after, lengths)
    places = flips(before, after)
    assert found["place"].tolist() == places.tolist()
    assert found["outcome"].tolist() == expected["outcome"].iloc[places].tolist()
    for when in ("before", "after"):
        assert found[f"confidence {when}"].to_numpy() == pytest.approx(
            expected[f"confidence {when}"].iloc[places].to_numpy()
        )
    ways = groupings(EVALUATION, classifier.label_names, lengths)
    for name in ("tag", "class"):
        slices = slice_table(ways[name], before, after)
        mine = page_of.table(f"slices-by-{name}")
        assert mine["slice"].tolist() == slices["slice"].tolist()
        assert mine["accuracy change"].to_numpy() == pytest.approx(slices["accuracy change"])


def test_what_a_person_wrote_stays_text(page_of, report):
    html = report[1].read_text(encoding="utf-8")
    assert "img" not in page_of.elements and "<img src=x" not in html
    # One script a figure, and the two that draw.
    assert page_of.elements.count("script") == page_of.elements.count("figure") + 2
    assert len(page_of.specs) == page_of.elements.count("figure")
    assert page_of.said.count(EVIL) >= 3  # the scheme's name, a note, and a tag or a sentence
    assert EVIL in page_of.table("slices-by-tag")["slice"].tolist()
    ticks = [shown for one in page_of.specs for shown in one["layout"]["yaxis"].get("ticktext", ())]
    assert any(shown.startswith("&lt;/script&gt;") for shown in ticks)
    assert not any("<img" in shown for shown in ticks)


def test_formulas_in_sentences_are_no_formulas(classifier):
    data = replace(many_sentences(8), texts=("=1+1", *many_sentences(8).texts[1:]))
    # Every head gone: some answers change, and all of them are in the file.
    scheme = Scheme.of(classifier).removing(classifier.full_mask())
    made = make_report(
        classifier, scheme, calibration=CALIBRATION, evaluation=data, asked=Asked(random=0)
    )
    found = Reading.of(made.html).files["changed-sentences.csv"]
    changed = flips(evaluate(classifier, data), evaluate(classifier, data, scheme.mask))
    assert len(changed) == found.count("\n") - 1
    assert not re.search(r"(^|,)=", found, re.MULTILINE)


def test_columns_named_like_those_of_the_table_have_names_of_their_own(classifier):
    plain = many_sentences(8)
    groups = dict.fromkeys(("label", "outcome", "place"), tuple("xy" * 4))
    scheme = Scheme.of(classifier).removing(classifier.full_mask())
    made = make_report(
        classifier,
        scheme,
        calibration=CALIBRATION,
        evaluation=replace(plain, groups=groups),
        asked=Asked(random=0),
    )
    found = Reading.of(made.html).table("changed-sentences")
    assert {"column label", "column outcome", "column place"} <= set(found.columns)


def test_nothing_leads_outside(page_of, report):
    for address in page_of.addresses:
        assert address.startswith(("data:text/csv", "data:application/json", "#")), address[:60]
    html = report[1].read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert html.count("plotly.js v") == 1
    assert not {"link", "iframe", "object", "embed"} & set(page_of.elements)


def test_the_order_of_a_scheme_is_that_of_its_steps_and_their_reasons():
    scheme = Scheme.started({"id": "a", "revision": None, "fingerprint": "f"}, 2, 4)
    scheme = scheme.removing(parse_heads("L1H3,L0H1"))
    reasons = [["L1H0", "b"], ["L0H0", "a"], ["L0H7", "no such head"], "nonsense", ["L0H2", 3]]
    scheme = scheme.removing(parse_heads("L0H0,L1H0,L0H2"), "x", {"reasons": reasons})
    scheme = scheme.restoring(parse_heads("L1H3"))
    assert [str(head) for head in own_order(scheme)] == ["L0H1", "L1H0", "L0H0", "L0H2"]


@pytest.mark.parametrize(
    "settings",
    [
        {"reasons": 5, "layers": 3, "course": {}},
        {"reasons": [[["L0H1"], "why"]], "layers": [{}], "course": [{"step": "x"}]},
        {"calibration": {"name": EVIL}, "seconds": None, "best": 4},
    ],
)
def test_a_strange_scheme_file_makes_a_report_all_the_same(classifier, tmp_path, settings):
    fitted = recover(classifier, CALIBRATION, classifier.full_mask().without([HeadId(0, 1)]))
    fitted.weights.save(tmp_path)
    scheme = Scheme.of(classifier).removing([HeadId(0, 1)], "magic", settings)
    scheme = scheme.recovered(fitted.weights.fingerprint, "sorcery", settings)
    asked = Asked(random=0)
    made = make_report(
        classifier,
        scheme,
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        weights=tmp_path,
        asked=asked,
    )
    assert "the rest is sorcery" in Reading.of(made.html).said


def test_a_scheme_that_removes_nothing(classifier):
    made = make_report(
        classifier,
        Scheme.of(classifier),
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        asked=Asked(random=1, tokens=6),
    )
    said = Reading.of(made.html).said
    assert "All 8 attention heads are kept." in said and "No answer changed." in said
    assert "Milliseconds a batch" in said and "8 sentences of 6 tokens at once" in said


def test_a_model_that_has_fewer_heads_is_pruned_further(classifier, tmp_path):
    gone = parse_heads("L0H1,L1H2")
    smaller = tmp_path / "smaller"
    export_model(classifier, Scheme.of(classifier).removing(gone), smaller, dataset=EVALUATION)
    model = load_classifier(smaller)
    scheme = Scheme.of(model).removing([HeadId(0, 0)])
    found = make_report(
        model, scheme, calibration=CALIBRATION, evaluation=EVALUATION, asked=Asked(random=2)
    )
    seen = Reading.of(found.html)
    assert "1 of 6 attention heads are removed." in seen.said
    assert seen.table("orders-at-this-size")["accuracy"][0] == found.findings.after.accuracy
    curves = seen.table("curves")
    assert curves["removed"].max() == 6 and not curves["kept"].min()
    assert "nan" not in seen.said.lower()


def test_sentences_of_both_splits_are_a_caution(classifier, scheme, page_of):
    assert "calibration sentences as well" not in page_of.said
    made = make_report(
        classifier,
        scheme[0].at(0),
        calibration=CALIBRATION,
        evaluation=CALIBRATION.take(range(10)),
        weights=scheme[1],
        asked=Asked(random=0),
    )
    said = Reading.of(made.html).said
    assert "10 of 10 evaluation sentences are calibration sentences as well" in said


def test_what_is_known_is_not_measured_again(classifier, scheme, both, monkeypatch):
    made, folder = scheme
    path = made.path()
    known = {path[0].id: both[0], path[-1].id: both[1]}
    calls = []
    monkeypatch.setattr(
        "bhpvas.report.findings.evaluate",
        lambda *given, **more: calls.append(given[2]) or evaluate(*given, **more),
    )
    found = make_report(
        classifier,
        made,
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        weights=folder,
        asked=Asked(random=0),
        known=known,
    ).findings
    assert calls == [made.mask]  # before it was compensated
    assert found.after is both[1]


def test_progress_rises_to_its_end_and_stops_the_work(classifier, scheme, tmp_path):
    seen: list[tuple[int, int]] = []
    given = {
        "calibration": CALIBRATION,
        "evaluation": EVALUATION,
        "weights": scheme[1],
        "random": 1,
    }
    path = tmp_path / "report.html"
    write_report(classifier, scheme[0], path, progress=lambda *now: seen.append(now), **given)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len({total for _, total in seen}) == 1 and seen[-1][0] == seen[-1][1]
    before = path.read_bytes()

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_report(classifier, scheme[0], path, progress=stop, **given)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_it_refuses_in_a_sentence(classifier, scheme, tmp_path):
    made, folder = scheme
    data = {"calibration": CALIBRATION, "evaluation": EVALUATION, "weights": folder}
    with pytest.raises(ReportError, match=r"cannot be written to .*choose a file in a folder"):
        write_report(classifier, made, tmp_path / "no" / "report.html", **data)
    with pytest.raises(BhpvasError, match="-1 random orders cannot be drawn"):
        write_report(classifier, made, tmp_path / "report.html", random=-1, **data)
    with pytest.raises(BhpvasError, match="cannot be timed"):
        write_report(classifier, made, tmp_path / "report.html", random=0, tokens=99, **data)
    assert not [*tmp_path.iterdir()]


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def opened(browser: Browser, report) -> Page:
    """The file in a browser that refuses every request for anything else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text))
    page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    context.route(re.compile("^https?:"), lambda route: route.abort())
    page.goto(report[1].as_uri())
    page.locator("html[data-drawn]").wait_for()
    yield page
    assert page.locator("img").count() == 0
    outside = [one for one in asked if not one.startswith(("file:", "data:", "blob:"))]
    assert (outside, complaints) == ([], [])
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme_of_colours", ["light", "dark"])
def test_every_figure_is_drawn(opened: Page, page_of, width, scheme_of_colours):
    opened.set_viewport_size({"width": width, "height": 900})
    opened.emulate_media(color_scheme=scheme_of_colours)
    plots = opened.locator("figure.picture .plot")
    expect(plots).to_have_count(len(page_of.specs))
    opened.wait_for_function(
        "width => [...document.querySelectorAll('.plot')].every("
        "one => one.querySelector('.main-svg')?.clientWidth <= one.clientWidth + 1)",
        arg=width,
    )
    for plot in plots.all():
        box = plot.locator(".main-svg").first.bounding_box()
        assert box is not None and box["height"] > 40 and box["x"] + box["width"] <= width
        assert plot.locator(".trace, .hm, image").count() > 0
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    ink = opened.evaluate("getComputedStyle(document.querySelector('.xtick text')).fill")
    bright = sum(map(int, re.findall(r"\d+", ink)[:3])) > 384
    assert bright == (scheme_of_colours == "dark")


@pytest.mark.browser
@pytest.mark.parametrize("format", ["svg", "png"])
def test_a_figure_is_saved(opened: Page, format, tmp_path):
    figure = opened.locator("#curves figure").first
    with opened.expect_download() as download:
        figure.get_by_role("button", name=format.upper()).click()
    assert download.value.suggested_filename == f"curves.{format}"
    content = Path(download.value.path()).read_bytes()
    if format == "svg":
        assert b"this scheme&#39;s order" in content or b"this scheme's order" in content
    else:
        assert content.startswith(b"\x89PNG")


@pytest.mark.browser
def test_a_figures_data_is_saved(opened: Page, page_of):
    with opened.expect_download() as download:
        opened.locator("#curves figure").first.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "curves.csv"
    saved = Path(download.value.path()).read_text(encoding="utf-8")
    assert saved == page_of.files["curves.csv"]
