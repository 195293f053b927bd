"""The app without a browser: a tiny model, every control, and what it does to the session."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Multiselect

from bhpvas.criteria import CRITERIA, combined, removal_order, score
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.reading import read_splits
from bhpvas.errors import SchemeError
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask, format_heads, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui import frame
from bhpvas.ui.jobs import tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.state.session import Session
from tests.tiny import save_tiny

SCRIPT = Path(__file__).resolve().parents[2] / "streamlit_app.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-app"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def app(folder: Path, tiny: Classifier, dataset: Dataset) -> AppTest:
    """The app on the tiny model, opened and settled."""
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    app.session_state["bhpvas"] = Session(
        model=str(folder),
        data=Splits(dataset, dataset, "by hand"),
        scheme=Scheme.of(tiny),
    )
    return fine(app.run())


def fine(app: AppTest) -> AppTest:
    """The app, which shows no exception."""
    assert [box.value for box in app.exception] == []
    return app


def session(app: AppTest) -> Session:
    return app.session_state["bhpvas"]


def press(app: AppTest, label: str) -> AppTest:
    """Press the one button with this label."""
    (button,) = [one for one in app.button if one.label == label]
    assert not button.disabled
    return fine(button.click().run())


def listed(app: AppTest, name: str) -> Multiselect:
    """The list of heads that is called so; its key says how often it was drawn anew."""
    (found,) = [one for one in app.multiselect if re.fullmatch(rf"{name}-\d+", str(one.key))]
    return found


def select(app: AppTest, heads: str) -> AppTest:
    """Select heads in the list, which is the keyboard's way."""
    return fine(listed(app, "heads").set_value(heads.split(",")).run())


def facts(app: AppTest) -> dict[str, str]:
    """The lines of the sidebar by their names."""
    text = "".join(html.value for html in app.html)
    found = re.findall(r'<span>([^<]+)</span><b id="[^"]+">(.+?)</b>', text)
    return {name: re.sub("<[^>]+>", "", value) for name, value in found}


def said(app: AppTest) -> str:
    """All prose on the page."""
    return "\n".join(one.value for one in [*app.markdown, *app.caption])


def test_it_opens_on_every_head_and_its_accuracy(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    expected = evaluate(tiny, dataset)
    assert facts(app)["Heads"] == "8 of 8 kept"
    assert facts(app)["Accuracy"].startswith(f"{100 * expected.accuracy:.1f}%")
    assert not app.error
    step = session(app).scheme.step(0)
    assert step.metrics["accuracy"] == expected.accuracy


def test_a_model_that_cannot_be_loaded_again_is_a_sentence_and_a_way_to_another(
    tiny: Classifier, dataset: Dataset, tmp_path: Path
) -> None:
    mine, other = save_tiny(tmp_path / "mine", seed=7), save_tiny(tmp_path / "other", seed=8)
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    app.session_state["bhpvas"] = Session(
        model=str(mine),
        data=Splits(dataset, dataset, "by hand"),
        scheme=Scheme.of(load_classifier(mine), name="mine"),
    )
    fine(app.run())
    before = session(app)
    away = mine.rename(tmp_path / "away")
    for page in ("samples", "sentence", "roles", "export", "schemes", "learn", "workbench"):
        tasks._loaded.clear()  # as if it had left for two others
        fine(app.switch_page(f"pages/{page}.py").run())
        (error,) = app.error
        assert str(mine) in error.value
        assert "Save" in [one.label for one in app.get("download_button")]
    press(app, "Change model or data")
    fine(app.text_input(key="model-id").set_value(str(other)).run())
    press(app, "Use these")
    assert session(app).model == str(other) and not app.error
    assert facts(app)["Heads"] == "8 of 8 kept"
    away.rename(mine)
    app.session_state["bhpvas"] = before
    assert not fine(app.run()).error


def test_sentences_that_lost_the_names_of_their_labels_are_to_be_chosen_anew(
    folder: Path, tmp_path: Path
) -> None:
    unnamed = save_tiny(tmp_path / "unnamed")
    config = unnamed / "config.json"
    for number, name in enumerate(("negative", "positive")):
        config.write_text(config.read_text().replace(f'"{name}"', f'"LABEL_{number}"'))
    rows = "".join(f"a good film {row},{row % 2}\n" for row in range(12))
    data = read_splits(io.BytesIO(f"text,label\n{rows}".encode()), name="mine.csv")
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    app.session_state["bhpvas"] = frame._session(str(unnamed), data)
    fine(app.run())
    press(app, "Change model or data")
    fine(app.text_input(key="model-id").set_value(str(folder)).run())
    press(app, "Use these")
    (error,) = app.error
    assert "mine.csv" not in error.value
    assert "LABEL_0, LABEL_1" in error.value and "choose them anew" in error.value
    assert session(app).model == str(unnamed)


def test_the_numbers_of_every_figure_can_be_taken_along(app: AppTest) -> None:
    fine(select(app, "L0H1,L1H2"))
    shown = {one.key for one in app.get("plotly_chart")}
    assert shown == {"head-map", "scatter", "timeline-chart"}
    offered = {one.key.rsplit("-", 1)[0]: one.label for one in app.get("download_button")}
    for key in shown:
        assert len(offered[f"numbers-{key}"]) > 10


def test_only_brief_scoring_waits_for_the_end_of_another(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = session(app)
    assert tasks.scoring(here, here.now, ("importance",)).bulky
    assert samples_tasks._weighing(here, here.now).bulky
    assert not tasks.evaluating(here, here.now).bulky
    monkeypatch.setattr(tasks, "MANY", len(here.data.calibration) - 1)
    assert not tasks.scoring(here, here.now, ("importance",)).bulky


def test_lowest_k_follows_the_combined_priority(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    order = removal_order(combined(score(tiny, dataset)))
    fine(app.number_input(key="lowest").set_value(3).run())
    press(app, "Select lowest 3")
    assert session(app).selected == frozenset(order[:3])


def test_colour_and_selection_follow_the_chosen_criterion(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    values = score(tiny, dataset, ["entropy"]).values["entropy"]
    fine(app.selectbox(key="colour").set_value("entropy").run())
    press(app, "Select lowest 1")
    highest = np.unravel_index(values.argmax(), values.shape)
    assert session(app).selected == {HeadId(int(highest[0]), int(highest[1]))}


@pytest.mark.parametrize("name", list(CRITERIA))
def test_every_criterion_can_colour_the_map(app: AppTest, name: str) -> None:
    fine(app.selectbox(key="colour").set_value(name).run())
    colours = {"High": "Bright", "Above 0": "Red", "below 0": "blue"}
    summary = re.sub("|".join(colours), lambda word: colours[word[0]], CRITERIA[name].summary)
    assert any(one.value.startswith(summary) for one in app.caption)
    assert CRITERIA[name].misleads in said(app)


def test_weights_change_the_order(app: AppTest, tiny: Classifier, dataset: Dataset) -> None:
    scores = score(tiny, dataset)
    for name, weight in (("importance", 0.0), ("stability", 0.0), ("similarity", 1.0)):
        app.slider(key=f"weight-{name}").set_value(weight)
    fine(app.run())
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(scores.values["similarity"], "remove")[0]}


def test_no_weight_at_all_is_said_and_the_page_goes_on(app: AppTest) -> None:
    for name in ("importance", "stability", "similarity"):
        app.slider(key=f"weight-{name}").set_value(0.0)
    fine(app.run())
    assert "Every weight is 0" in said(app)
    press(app, "Select lowest 1")


def test_which_way_stability_counts_is_a_setting(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    values = score(tiny, dataset).values["stability"]
    fine(app.selectbox(key="colour").set_value("stability").run())
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(values, "keep")[0]}
    fine(app.segmented_control(key="stable").set_value("first to go").run())
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(values, "remove")[0]}


def test_a_threshold_selects_what_lies_beyond(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    values = score(tiny, dataset).values["importance"]
    threshold = float(np.median(values))
    fine(app.selectbox(key="colour").set_value("importance").run())
    fine(app.number_input(key="threshold-importance").set_value(threshold).run())
    press(app, "Select 4")
    assert session(app).selected == {
        HeadId(int(la), int(he)) for la, he in np.argwhere(values < threshold)
    }


def test_a_whole_layer_and_clear(app: AppTest) -> None:
    press(app, "L1")
    assert format_heads(session(app).selected) == "L1H0,L1H1,L1H2,L1H3"
    assert list(listed(app, "heads").value) == ["L1H0", "L1H1", "L1H2", "L1H3"]
    press(app, "Clear")
    assert not session(app).selected


def test_the_list_selects(app: AppTest) -> None:
    select(app, "L0H1,L1H2")
    assert session(app).selected == frozenset(parse_heads("L0H1,L1H2"))


def test_the_cost_is_the_estimate_and_says_so(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1,L1H2")
    press(app, "What would it cost?")
    model = Estimate.from_scores(score(tiny, dataset))
    loss = float(model.loss_change([HeadMask.parse("L0H1,L1H2", 2, 4)])[0])
    assert "**Estimate:**" in said(app)
    assert f"loss {loss:+.3f}".replace("-", "−") in said(app)


def test_removing_measures_exactly_and_adds_a_step(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1,L1H2")
    press(app, "Remove 2 heads")
    exact = evaluate(tiny, dataset, HeadMask.parse("L0H1,L1H2", 2, 4))
    scheme = session(app).scheme
    assert str(scheme.mask) == "L0H1,L1H2"
    assert scheme.step(scheme.current).metrics["accuracy"] == exact.accuracy
    assert facts(app)["Heads"] == "6 of 8 kept"
    assert f"{100 * exact.accuracy:.1f}% (" in facts(app)["Accuracy"]
    assert not session(app).selected


def test_what_was_stopped_is_not_said_to_be_measured(
    folder: Path, tiny: Classifier, dataset: Dataset
) -> None:
    part = dataset.take(range(5))  # which nobody has measured
    new = Session(str(folder), Splits(part, part, ""), Scheme.of(tiny))
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    app.session_state["bhpvas"] = new.cancelling(tasks.evaluating(new, new.now).key)
    fine(app.run())
    assert facts(app)["Accuracy"] == "not measured"
    press(app, "Continue")
    assert facts(app)["Accuracy"].endswith(")")


def test_a_removal_asked_for_again_after_cancel_is_measured(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H0,L1H1")
    asked = session(app).requesting("remove")
    assert asked.pending is not None
    job = tasks.evaluating(asked, asked.pending.applied_to(asked.now)).key
    app.session_state["bhpvas"] = asked.cancelling(job)
    fine(app.run())
    press(app, "Remove 2 heads")
    exact = evaluate(tiny, dataset, HeadMask.parse("L0H0,L1H1", 2, 4))
    step = session(app).scheme.step(session(app).scheme.current)
    assert (step.what, step.metrics["loss"]) == ("remove", pytest.approx(exact.loss, abs=1e-6))


def test_a_stopped_wish_is_not_granted_with_the_result_of_another_job(
    app: AppTest, dataset: Dataset
) -> None:
    select(app, "L0H0")
    asked = replace(session(app), data=Splits(dataset.take(range(6)), dataset.take(range(7)), ""))
    asked = asked.requesting("remove")
    assert asked.pending is not None
    job = tasks.evaluating(asked, asked.pending.applied_to(asked.now)).key
    app.session_state["bhpvas"] = replace(asked, cancelled=frozenset({job}))
    fine(app.run())
    assert [step.what for step in session(app).scheme.steps] == ["start"]
    assert tasks.is_measured(session(app), session(app).scheme.step(0))


def another_model(place: Path, dataset: Dataset) -> AppTest:
    """The app on a folder of its own, which a test may write to."""
    scheme = Scheme.of(load_classifier(save_tiny(place, seed=1))).removing(parse_heads("L0H1"))
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    app.session_state["bhpvas"] = Session(str(place), Splits(dataset, dataset, ""), scheme)
    return fine(app.run())


def test_a_model_trained_anew_in_its_folder_is_not_taken_for_the_old_one(
    tmp_path: Path, dataset: Dataset
) -> None:
    place = tmp_path / "model"
    app = another_model(place, dataset)
    here = session(app)
    waiting = tasks.evaluating(here, here.now)
    save_tiny(place, seed=2)
    with pytest.raises(SchemeError):  # nothing of the new one is taken for the old one's result
        waiting.work(Job())
    fine(app.run())
    (error,) = app.error
    assert error.value.startswith("The model is not what it was when this page was opened.")
    assert session(app) == here
    press(app, "Change model or data")
    press(app, "Use these")
    assert not app.error
    new = load_classifier(place).fingerprint
    assert new != here.scheme.model["fingerprint"]
    assert session(app).scheme.model["fingerprint"] == new
    assert not session(app).mask.removed


def test_a_model_whose_folder_is_gone_is_a_sentence_until_it_is_back(
    tmp_path: Path, dataset: Dataset
) -> None:
    place = tmp_path / "model"
    app = another_model(place, dataset)
    place.rename(tmp_path / "elsewhere")
    fine(app.run())
    assert "is neither a folder nor a hub id" in app.error[0].value
    (tmp_path / "elsewhere").rename(place)
    fine(app.run())
    assert not app.error
    assert facts(app)["Heads"] == "7 of 8 kept"


def test_undo_redo_and_restore(app: AppTest) -> None:
    select(app, "L0H1")
    press(app, "Remove 1 head")
    press(app, "Undo")
    assert facts(app)["Heads"] == "8 of 8 kept"
    press(app, "Redo")
    assert facts(app)["Heads"] == "7 of 8 kept"
    select(app, "L0H1")
    press(app, "Restore 1 head")
    assert facts(app)["Heads"] == "8 of 8 kept"
    assert [step.what for step in session(app).scheme.path()] == ["start", "remove", "restore"]


def test_a_step_after_undo_makes_a_branch(app: AppTest) -> None:
    for head in ("L0H1", "L1H2"):
        select(app, head)
        press(app, "Remove 1 head")
        press(app, "Undo")
    assert len(session(app).scheme.branches()) == 2


def test_criteria_are_measured_anew_after_a_step(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1")
    press(app, "Remove 1 head")
    assert session(app).scored == session(app).now
    again = score(tiny, dataset, mask=HeadMask.parse("L0H1", 2, 4))
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(combined(again))[0]}


def test_every_head_can_go(app: AppTest) -> None:
    press(app, "L0")
    press(app, "Remove 4 heads")
    press(app, "L1")
    press(app, "Remove 4 heads")
    assert facts(app)["Heads"] == "0 of 8 kept"
    press(app, "L1")
    press(app, "Restore 4 heads")
    assert facts(app)["Heads"] == "4 of 8 kept"


def test_flipped_sentences_stand_with_both_predictions(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    press(app, "L0")
    press(app, "Remove 4 heads")
    before, after = evaluate(tiny, dataset), evaluate(tiny, dataset, session(app).mask)
    changed = np.flatnonzero(before.predictions != after.predictions)
    assert len(changed) > 0
    assert f"**{len(changed)} of 12 predictions changed:**" in said(app)
    tables = "".join(html.value for html in app.html)
    for index in changed:
        assert f"<td>{dataset.texts[index]}</td>" in tables


def test_ablation_stands_beside_the_criteria_with_its_correlation(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    press(app, "Remove each of 8 heads alone and measure")
    assert "Ablation: loss" in app.selectbox(key="colour").options
    (agreement,) = [
        frame.value for frame in app.dataframe if "Criterion" in getattr(frame.value, "columns", ())
    ]
    loss = ablate(tiny, dataset).loss_change.ravel()
    values = score(tiny, dataset).values["importance"].ravel()
    ranks = [np.argsort(np.argsort(one)) for one in (loss, values)]
    expected = float(np.corrcoef(*ranks)[0, 1])
    row = agreement.set_index("Criterion").loc["Importance"].iloc[0]
    assert float(row.replace("−", "-")) == pytest.approx(expected, abs=0.005)


def test_the_ranked_table_holds_every_head(app: AppTest) -> None:
    (table,) = [one.value for one in app.dataframe if "head" in getattr(one.value, "columns", ())]
    assert sorted(table["head"]) == [f"L{layer}H{head}" for layer in range(2) for head in range(4)]
    assert {"combined", "importance", "stability", "similarity"} <= set(table.columns)


def test_a_scheme_file_is_loaded(app: AppTest, tiny: Classifier) -> None:
    text = Scheme.of(tiny, name="mine").removing(parse_heads("L1H0,L1H1")).to_json()
    upload = app.file_uploader(key="scheme-file")
    fine(upload.set_value(("mine.json", text.encode(), "application/json")).run())
    assert facts(app)["Heads"] == "6 of 8 kept"
    assert facts(app)["Scheme"] == "mine"
    assert "accuracy" in session(app).scheme.step(1).metrics


@pytest.mark.parametrize("accuracy", [0.5, "high"])
def test_metrics_that_are_incomplete_are_measured_again(
    app: AppTest, tiny: Classifier, dataset: Dataset, accuracy: object
) -> None:
    document = json.loads(Scheme.of(tiny).removing(parse_heads("L1H0")).to_json())
    given = {"data_fingerprint": dataset.fingerprint, "accuracy": accuracy}
    document["steps"][1]["metrics"] = given
    content = json.dumps(document).encode()
    upload = app.file_uploader(key="scheme-file")
    fine(upload.set_value(("mine.json", content, "application/json")).run())
    exact = evaluate(tiny, dataset, HeadMask.parse("L1H0", 2, 4))
    assert session(app).scheme.step(1).metrics.items() >= exact.metrics().items()
    fine(app.switch_page("pages/schemes.py").run())


def test_a_bad_scheme_file_is_one_sentence_and_the_scheme_stays(app: AppTest) -> None:
    select(app, "L0H1")
    press(app, "Remove 1 head")
    before = session(app).scheme
    upload = app.file_uploader(key="scheme-file")
    fine(upload.set_value(("bad.json", b"\xff\x00 not json", "application/json")).run())
    assert len(app.error) == 1
    assert app.error[0].value.startswith("bad.json")
    assert session(app).scheme == before
    press(app, "Undo")
    assert not app.error


def open_dialog(app: AppTest) -> AppTest:
    return press(app, "Change model or data")


def use(app: AppTest) -> AppTest:
    return press(app, "Use these")


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("not a model!", "neither a folder nor a hub id"),
        ("", "No model is named"),
        ("{tmp}", "config.json"),
    ],
)
def test_a_bad_model_is_one_sentence_and_all_stays(
    app: AppTest, tmp_path: Path, model: str, part: str
) -> None:
    select(app, "L0H1")
    press(app, "Remove 1 head")
    before = session(app)
    open_dialog(app)
    app.text_input(key="model-id").set_value(model.format(tmp=tmp_path))
    use(app)
    assert len(app.error) == 1
    assert part in app.error[0].value
    assert session(app).scheme == before.scheme
    assert session(app).model == before.model


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"text,label\na good film,0\nbad,\n", "Line 3 of a.csv"),
        ("a.csv", b"words,thing\na,b\n", "column"),
        ("a.csv", b"text,label\ngood,0\nbad,0\nfine,0\ndull,0\n", "label"),
        ("a.csv", b"text,label\ngood,0\nbad,1\nfine,7\ndull,7\na,0\nb,1\n", "7"),
        ("a.csv", b"\x00\x01\x02\x03", "binary"),
        ("a.csv", b"text,label\n" + b"a" * 100_001 + b",0\nb,1\n", "100,001"),
    ],
)
def test_bad_data_is_one_sentence_and_all_stays(
    app: AppTest, name: str, content: bytes, part: str
) -> None:
    before = session(app)
    open_dialog(app)
    fine(app.segmented_control(key="data-kind").set_value("Upload").run())
    fine(app.file_uploader(key="data-file").set_value((name, content, "text/csv")).run())
    use(app)
    assert len(app.error) == 1
    assert part in app.error[0].value
    assert session(app).data is before.data
    assert session(app).scheme == before.scheme


def test_uploaded_data_are_measured_and_the_scheme_stays(app: AppTest, tiny: Classifier) -> None:
    select(app, "L0H1")
    press(app, "Remove 1 head")
    labelled = 6 * [("good", 1), ("bad", 0)]
    rows = "".join(f"film {n} is {word},{label}\n" for n, (word, label) in enumerate(labelled))
    open_dialog(app)
    fine(app.segmented_control(key="data-kind").set_value("Upload").run())
    content = ("text,label\n" + rows).encode()
    assert app.button(key="use").disabled
    fine(app.file_uploader(key="data-file").set_value(("mine.csv", content, "text/csv")).run())
    use(app)
    assert not app.error
    assert facts(app)["Data"] == "mine.csv · 4 + 8"
    assert facts(app)["Heads"] == "7 of 8 kept"
    exact = evaluate(tiny, session(app).data.evaluation, session(app).mask)
    step = session(app).scheme.step(session(app).scheme.current)
    assert step.metrics["accuracy"] == exact.accuracy
    assert step.metrics["n"] == 8


def test_a_file_of_the_server_is_no_hub_id(app: AppTest, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("text,label\na,0\nb,1\n", encoding="utf-8")
    open_dialog(app)
    fine(app.segmented_control(key="data-kind").set_value("Hub id").run())
    app.text_input(key="data-id").set_value(str(secret))
    use(app)
    assert "choose Upload" in app.error[0].value


def test_every_view_has_a_reading_aid_and_a_source(app: AppTest) -> None:
    select(app, "L0H1")
    titles = [html.value for html in app.html if html.value.startswith(("<h1 class", "<h2 class"))]
    assert len(titles) == 6
    sources = [one.value for one in app.caption if one.value.startswith("Source: ")]
    assert len(sources) >= 8
    assert not re.search(r"!(\s|$)", said(app))
