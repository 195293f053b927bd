"""The frame on a tiny model: the sidebar, scheme files, and another model or other data."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.reading import read_splits
from bhpvas.errors import SchemeError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import measuring, models
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.model_and_data import fresh_session
from bhpvas.ui.state.session import Session
from tests.interpret.pipelines import save_chain
from tests.tiny import save_tiny
from tests.ui.driver import (
    facts,
    fine,
    open_app,
    open_dialog,
    press,
    select,
    session,
    use,
)


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
    app = open_app(
        Session(
            model=str(mine),
            data=Splits(dataset, dataset, "by hand"),
            scheme=Scheme.of(load_classifier(mine), name="mine"),
        )
    )
    before = session(app)
    away = mine.rename(tmp_path / "away")
    for page in ("samples", "sentence", "roles", "export", "schemes", "learn", "workbench"):
        models._loaded.clear()  # as if it had left for two others
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
    app = open_app(fresh_session(str(unnamed), data))
    press(app, "Change model or data")
    fine(app.text_input(key="model-id").set_value(str(folder)).run())
    press(app, "Use these")
    (error,) = app.error
    assert "mine.csv" not in error.value
    assert "LABEL_0, LABEL_1" in error.value and "choose them anew" in error.value
    assert session(app).model == str(unnamed)


def test_what_was_stopped_is_not_said_to_be_measured(
    folder: Path, tiny: Classifier, dataset: Dataset
) -> None:
    part = dataset.take(range(5))  # which nobody has measured
    new = Session(str(folder), Splits(part, part, ""), Scheme.of(tiny))
    app = open_app(new.cancelling(measuring.evaluating(new, new.now).key))
    assert facts(app)["Accuracy"] == "not measured"
    press(app, "Continue")
    assert facts(app)["Accuracy"].endswith(")")


def another_model(place: Path, dataset: Dataset) -> AppTest:
    """The app on a folder of its own, which a test may write to."""
    scheme = Scheme.of(load_classifier(save_tiny(place, seed=1))).removing(parse_heads("L0H1"))
    return open_app(Session(str(place), Splits(dataset, dataset, ""), scheme))


def test_a_model_trained_anew_in_its_folder_is_not_taken_for_the_old_one(
    tmp_path: Path, dataset: Dataset
) -> None:
    place = tmp_path / "model"
    app = another_model(place, dataset)
    here = session(app)
    waiting = measuring.evaluating(here, here.now)
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


def test_a_scheme_file_is_loaded(app: AppTest, tiny: Classifier) -> None:
    text = Scheme.of(tiny, name="mine").removing(parse_heads("L1H0,L1H1")).to_json()
    upload = app.file_uploader(key="scheme-file")
    fine(upload.set_value(("mine.json", text.encode(), "application/json")).run())
    assert facts(app)["Heads"] == "6 of 8 kept"
    assert facts(app)["Scheme"] == "mine"
    assert "accuracy" in session(app).scheme.step(1).metrics


def test_a_scheme_without_some_neurons_is_loaded_measured_and_undone(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    neurons = NeuronSet.of_layers(2, 64, {0: range(60)})
    text = Scheme.of(tiny).removing(parse_heads("L1H0"), neurons=neurons).to_json()
    upload = app.file_uploader(key="scheme-file")
    fine(upload.set_value(("narrow.json", text.encode(), "application/json")).run())
    assert (facts(app)["Heads"], facts(app)["Neurons"]) == ("7 of 8 kept", "68 of 128 kept")
    exact = evaluate(tiny, dataset, session(app).mask)
    assert session(app).mask.neurons == neurons
    assert session(app).scheme.step(1).metrics.items() >= exact.metrics().items()
    for page in ("samples", "sentence", "roles", "schemes", "export", "workbench"):
        fine(app.switch_page(f"pages/{page}.py").run())
    press(app, "Undo")
    assert "Neurons" not in facts(app)


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


def test_a_parser_is_chosen_or_one_sentence_and_all_stays(app: AppTest, tmp_path: Path) -> None:
    def named(parser: str) -> None:
        box = app.selectbox(key="parser")
        box.options.append(parser)  # typed, which the driver knows no way to do
        box.set_value(parser)

    assert session(app).parser is None
    open_dialog(app)
    named("sv_core_news_nowhere")
    use(app)
    assert "'sv_core_news_nowhere' is not installed" in app.error[0].value
    assert session(app).parser is None
    folder = save_chain(tmp_path / "chain")
    named(folder)
    use(app)
    assert not app.error and session(app).parser == folder
    open_dialog(app)
    assert app.selectbox(key="parser").value == folder
    app.selectbox(key="parser").set_value(app.selectbox(key="parser").options[0])
    use(app)
    assert session(app).parser is None


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


def test_the_parts_of_an_upload_are_used_unless_the_file_is_taken_as_one(app: AppTest) -> None:
    rows = "".join(f"film {n} is good,{n % 2},{'Train' if n < 3 else 'dev'}\n" for n in range(12))
    content = ("text,label,part\n" + rows).encode()
    for whole, sizes, part in ((False, [3, 9], "dev"), (True, [4, 8], None)):
        open_dialog(app)
        fine(app.segmented_control(key="data-kind").set_value("Upload").run())
        fine(app.file_uploader(key="data-file").set_value(("my.csv", content, "text/csv")).run())
        fine(app.checkbox(key="no-split").set_value(whole).run())
        use(app)
        assert not app.error
        data = session(app).data
        assert [len(data.calibration), len(data.evaluation)] == sizes
        assert data.evaluation.provenance.part == part


def test_a_first_row_that_is_data_is_uploaded_with_what_the_refusal_says(app: AppTest) -> None:
    labelled = 6 * [("good", 1), ("bad", 0)]
    lines = [f"{label}\tthe film number {n} is {word}" for n, (word, label) in enumerate(labelled)]
    open_dialog(app)
    fine(app.segmented_control(key="data-kind").set_value("Upload").run())
    content = "\n".join(lines).encode()
    fine(app.file_uploader(key="data-file").set_value(("mine.txt", content, "text/plain")).run())
    use(app)
    assert "say --no-header" in app.error[0].value
    fine(app.selectbox(key="first-row").set_value("Is data (no header)").run())
    app.text_input(key="column-text").set_value("2")
    app.text_input(key="column-label").set_value("1")
    use(app)
    assert not app.error
    data = session(app).data
    assert len(data.calibration) + len(data.evaluation) == 12


def test_labels_of_an_upload_that_need_a_word(app: AppTest, tiny: Classifier) -> None:
    """Rows without a label are left out and numbers count from 1 where that is said."""
    rows = "".join(f"film {n} is good,meal {n},{n % 2 + 1}\n" for n in range(12))
    content = ("review,reply,label\nfilm,meal,-1\n" + rows).encode()
    open_dialog(app)
    fine(app.segmented_control(key="data-kind").set_value("Upload").run())
    fine(app.file_uploader(key="data-file").set_value(("mine.csv", content, "text/csv")).run())
    fine(app.text_input(key="column-pair").set_value("reply").run())
    fine(app.selectbox(key="labels-from").set_value("1").run())
    use(app)
    assert "labelled '-1'" in app.error[0].value
    fine(app.checkbox(key="no-pair").check().run())
    fine(app.checkbox(key="skip").check().run())
    use(app)
    assert not app.error
    data = session(app).data
    assert data.evaluation.pairs is None and data.evaluation.label_names == tiny.label_names
    assert data.evaluation.provenance.left_out == {"labelled -1": 1}
    numbers = [int(text.split()[1]) for text in data.evaluation.texts]
    assert data.evaluation.labels.tolist() == [number % 2 for number in numbers]


def test_a_file_of_the_server_is_no_hub_id(app: AppTest, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("text,label\na,0\nb,1\n", encoding="utf-8")
    open_dialog(app)
    fine(app.segmented_control(key="data-kind").set_value("Hub id").run())
    app.text_input(key="data-id").set_value(str(secret))
    use(app)
    assert "choose Upload" in app.error[0].value
