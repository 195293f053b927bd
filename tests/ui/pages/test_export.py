"""The Export page without a browser: what it shows, measures, makes and hands over."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import FORMATS
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import parameters, speed_bound
from bhpvas.model.engine import predict
from bhpvas.report import ReportSettings
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import measuring, models, tasks
from bhpvas.ui.pages.export import tasks as export_tasks
from bhpvas.ui.pages.export.tasks import ExportChoice
from bhpvas.ui.state.session import Session
from tests.ui.driver import fine, open_app, session

PRUNED = "L0H0,L0H1,L0H2,L0H3,L1H2"


def opened(dataset: Dataset, classifier: Classifier, removed: str = PRUNED) -> AppTest:
    """The page on the tiny model with some heads removed."""
    scheme = Scheme.of(classifier)
    if removed:
        scheme = scheme.removing(parse_heads(removed))
    data = Splits(dataset.take(range(8)), dataset, "by hand")
    return open_app(Session(model=classifier.source, data=data, scheme=scheme), "export")


def said(app: AppTest) -> str:
    kinds = [*app.markdown, *app.caption, *app.get("html")]
    return "\n".join(getattr(one, "value", None) or one.proto.body for one in kinds)


def button(app: AppTest, key: str) -> Any:
    return next(one for one in app.button if one.key == key)


def test_it_shows_what_removal_saves(dataset, classifier):
    app = opened(dataset, classifier)
    mask = HeadMask.parse(PRUNED, 2, 4)
    bound = speed_bound(classifier.geometry, mask, [32])
    shown = said(app)
    assert f"at most {bound:.2f}<" in shown
    assert f"{parameters(classifier.geometry, mask) / 1000:.1f}k" in shown
    app.segmented_control(key="export-format").set_value("dense").run()
    assert "at most 1.00<" in said(fine(app))
    assert "zeros, stored and computed like the rest" in said(app)


def test_nobody_gets_what_was_made_of_other_columns_or_another_file(dataset, classifier):
    """The same sentences may come with columns of another person's."""
    scheme = Scheme.of(classifier).removing(parse_heads(PRUNED))

    def keys(**changes: Any) -> tuple[Any, ...]:
        data = replace(dataset, **changes)
        session = Session(str(classifier.source), Splits(data, data, "by hand"), scheme)
        asked, choice = ReportSettings(), ExportChoice("dense")
        return export_tasks.reporting(session, asked).key, export_tasks.exporting(
            session, choice
        ).key

    mine = keys(groups={"reviewer": ("Ann", "Ben") * (len(dataset) // 2)})
    assert mine == keys(groups={"reviewer": ("Ann", "Ben") * (len(dataset) // 2)})
    for other in (keys(), keys(name="another"), keys(file="another.csv")):
        assert all(one != two for one, two in zip(mine, other, strict=True))


def test_nothing_removed_is_nothing_to_time(dataset, classifier):
    app = opened(dataset, classifier, removed="")
    assert button(app, "time").disabled
    assert "nothing to gain" in said(app)


def test_latency_is_measured_on_request(dataset, classifier):
    app = opened(dataset, classifier)
    app.number_input(key="latency-length").set_value(9).run()
    app = fine(button(app, "time").click().run())
    assert "Milliseconds a batch" in said(app) and "Medians of 21 rounds" in said(app)
    assert button(app, "time").disabled
    assert not button(app.number_input(key="latency-length").set_value(10).run(), "time").disabled


@pytest.mark.parametrize("format", ["transformers", "dense"])
def test_what_is_handed_over_loads(dataset, classifier, tmp_path, format):
    app = opened(dataset, classifier)
    app.segmented_control(key="export-format").set_value(format).run()
    app = fine(button(app, "export").click().run())
    assert "Read back and run on 12 sentences" in said(app)
    assert "model.safetensors" in said(app)
    assert button(app, "export").disabled
    content = export_tasks.content(session(app), ExportChoice(format))
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    [folder] = tmp_path.iterdir()
    assert folder.name == export_tasks.name(session(app)).replace("/", "-")
    assert (folder / "scheme" / "scheme.json").is_file()
    again = load_classifier(folder)
    expected = predict(classifier, classifier.encode(dataset), HeadMask.parse(PRUNED, 2, 4))
    assert predict(again, again.encode(dataset)) == pytest.approx(expected, abs=1e-5)


def test_a_file_that_had_to_leave_is_made_again(dataset, classifier, monkeypatch):
    app = opened(dataset, classifier)
    here, choice = session(app), ExportChoice("dense")
    first = export_tasks.content(here, choice)
    monkeypatch.setattr(export_tasks, "MOST_PACKED", 1)
    export_tasks.pack(here, ExportChoice("transformers"))
    assert not export_tasks.packed(here, choice).exists()
    names = [zipfile.ZipFile(io.BytesIO(one)).namelist() for one in (
        first, export_tasks.content(here, choice)
    )]  # fmt: skip
    assert names[0] == names[1]


def test_the_report_is_made_from_what_is_on_screen(dataset, classifier, monkeypatch):
    app = opened(dataset, classifier)
    app.number_input(key="report-random").set_value(1).run()
    app = fine(button(app, "report").click().run())
    assert button(app, "report").disabled
    here, asked = session(app), ReportSettings(random=1)
    content = export_tasks.reported(here, asked).decode()
    after = evaluate(classifier, dataset, here.mask)
    assert "tiny-bert" in content and f"{100 * after.accuracy:.1f}%" in content
    # Data that are two parts of one source have no command line that gives the same parts.
    assert "<pre" not in content
    known = tasks.known(measuring.evaluating(here, here.start))
    calls = []
    monkeypatch.setattr(
        export_tasks, "make_report", lambda *_, **given: calls.append(given) or 1 / 0
    )
    assert export_tasks.reported(here, asked).decode() == content
    for path in Path(export_tasks._packed().name).glob("*.html"):
        path.unlink()
    with pytest.raises(ZeroDivisionError):
        export_tasks.reported(here, asked)
    assert calls[0]["known"][0] is known and calls[0]["asked"] == asked
    app = fine(app.checkbox(key="report-ablation").set_value(True).run())
    assert not button(app, "report").disabled


def test_a_report_is_asked_for_once_its_scheme_is_measured(dataset, classifier, monkeypatch):
    app, known = opened(dataset, classifier), measuring.is_measured
    assert not button(app, "report").disabled
    monkeypatch.setattr(measuring, "is_measured", lambda here, step: step.id and known(here, step))
    assert button(fine(app.run()), "report").disabled


def test_a_cancelled_report_can_be_asked_for_again(dataset, classifier):
    here = session(opened(dataset, classifier))
    job = export_tasks.reporting(here, ReportSettings(random=2)).key
    asking = here.asking("reporting", job)
    assert asking.reporting == job and asking.cancelling(job).reporting is None
    assert asking.cancelling(job).asking("reporting", job).cancelled == frozenset()


def test_every_format_can_be_chosen_and_sized(dataset, classifier):
    here = session(opened(dataset, classifier))
    before = {export_tasks.sizes(here, ExportChoice(name))[0] for name in FORMATS}
    assert len(before) == 1
    for name in FORMATS:
        _, after = export_tasks.sizes(here, ExportChoice(name))
        left = here.mask if FORMATS[name].smaller else here.start.mask
        whole = 4 * parameters(classifier.geometry, left)
        # Positions are stored, too, and a stand-in for an empty layer.
        assert 0.85 * whole < after < 1.1 * whole
    assert models.classifier_named(here.model).fingerprint == classifier.fingerprint
