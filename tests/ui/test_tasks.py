"""From a model and a file to a session, for one score and several labels: dialog, work, links."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import load_classifier
from bhpvas.tasks.base import measured_text
from bhpvas.ui.jobs import measuring
from bhpvas.ui.persistence.workspaces import Workspaces
from tests.tiny import TASKS, WORDS, save_tiny, sentences_for
from tests.ui.driver import facts, fine, open_dialog, said, session, use

ROWS = [" ".join(WORDS[row % 7 : row % 7 + 3 + row % 4]) for row in range(24)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save_tiny(tmp_path_factory.mktemp(kind), **how) for kind, how in TASKS.items()}


def choose_model(app: AppTest, folder: Path, threshold: float | None = None) -> None:
    open_dialog(app)
    fine(app.segmented_control(key="model-kind").set_value("Hub id or folder").run())
    app.text_input(key="model-id").set_value(str(folder))
    app.number_input(key="threshold-of-labels").set_value(threshold)
    fine(app.run())


def upload(app: AppTest, content: str) -> None:
    fine(app.segmented_control(key="data-kind").set_value("Upload").run())
    file = ("mine.csv", content.encode(), "text/csv")
    fine(app.file_uploader(key="data-file").set_value(file).run())


def test_one_column_of_0_and_1_for_each_label_and_a_threshold(app, folders) -> None:
    bits = [(row % 2, row // 2 % 2, row // 4 % 2) for row in range(24)]
    lines = [f"{text},{a},{b},{c}" for text, (a, b, c) in zip(ROWS, bits, strict=True)]
    choose_model(app, folders["sets"], 0.25)
    upload(app, "text,rude,funny,long\n" + "\n".join(lines))
    use(app)
    assert not app.error
    here, task = session(app), load_classifier(folders["sets"], threshold=0.25).task
    assert here.threshold == 0.25 and here.data.evaluation.labels.shape == (16, 3)
    classifier = load_classifier(folders["sets"], threshold=0.25)
    found = evaluate(classifier, here.data.evaluation)
    assert facts(app)["Micro F1"] == measured_text(task.headline, found.headline)
    assert here.scheme.steps[0].metrics["setting"] == "threshold 0.25"
    assert facts(app)["Model"].endswith(" · threshold 0.25")
    open_dialog(app)  # the other threshold alone: the scheme stays, and is measured anew
    app.number_input(key="threshold-of-labels").set_value(None)
    use(app)
    assert not app.error and session(app).threshold is None
    other = evaluate(load_classifier(folders["sets"]), here.data.evaluation)
    assert facts(app)["Micro F1"] == measured_text(task.headline, other.headline)
    assert session(app).scheme.steps[0].metrics["setting"] == ""
    assert measuring.is_measured(session(app), session(app).scheme.steps[0])


def test_scores_with_queries(app, folders) -> None:
    lines = [f"{text},{row % 5}.5,q{row // 4}" for row, text in enumerate(ROWS)]
    choose_model(app, folders["score"])
    upload(app, "text,warmth,question\n" + "\n".join(lines))
    app.text_input(key="column-label").set_value("warmth")
    app.text_input(key="column-query").set_value("question")
    use(app)
    assert not app.error
    data = session(app).data.evaluation
    assert data.labels.dtype == np.float64 and data.queries is not None
    assert set(data.labels) <= {0.5, 1.5, 2.5, 3.5, 4.5}
    assert set(session(app).scheme.steps[0].metrics["metrics"]) >= {"pearson", "ndcg@10", "mrr"}
    assert "cannot lead to a model that gives one score" in said(app)


def test_what_does_not_fit_the_task_is_one_sentence_and_all_stays(app, folders) -> None:
    before = session(app)
    choose_model(app, folders["score"], 0.4)
    upload(app, "text,score\n" + "\n".join(f"{text},{row}" for row, text in enumerate(ROWS)))
    use(app)
    assert "threshold of 0.4 is for models of several labels" in app.error[0].value
    assert session(app).scheme == before.scheme
    app.number_input(key="threshold-of-labels").set_value(None)
    use(app)
    assert not app.error
    choose_model(app, folders["sets"])  # with the scores of the model before
    fine(app.segmented_control(key="data-kind").set_value("As now").run())
    use(app)
    assert "were read for a model that gives one score" in app.error[0].value
    fine(app.segmented_control(key="model-kind").set_value("Sample").run())
    use(app)
    assert "were read for a model that gives one score" in app.error[0].value
    fine(app.segmented_control(key="data-kind").set_value("Sample").run())
    use(app)
    assert not app.error


@pytest.mark.parametrize("kind", list(TASKS))
def test_work_keeps_scores_sets_and_queries(kind: str, folders, tmp_path: Path) -> None:
    data = sentences_for(load_classifier(folders[kind]).task, 12)
    data = replace(data, queries=tuple("ab" * 6))
    works = Workspaces(tmp_path / "works")
    back = works.read_data(works.keep_data(Splits(data, data, "by hand"))).evaluation
    assert back.labels.dtype == data.labels.dtype and back.identity == data.identity
    np.testing.assert_array_equal(back.labels, data.labels)


def test_the_lessons_say_of_which_task_they_speak(app, folders) -> None:
    fine(app.switch_page("pages/learn.py").run())
    assert "the lessons speak of" not in said(app)
    choose_model(app, folders["score"])
    upload(app, "text,score\n" + "\n".join(f"{text},{row}" for row, text in enumerate(ROWS)))
    use(app)
    assert not app.error
    assert "This model gives one score, and the lessons speak of" in said(app)
