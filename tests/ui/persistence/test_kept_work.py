"""The app without a browser: what was done is there again in another session of it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.reading import sample_splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.storage.paths import workspaces_folder
from bhpvas.ui.pages.learn.tours import TOURS
from bhpvas.ui.persistence import kept_work, links, workspaces
from bhpvas.ui.state.lessons import LessonProgress, TourProgress
from bhpvas.ui.state.session import Session
from tests.tiny import save_tiny
from tests.ui.driver import SCRIPT, facts, fine, listed, press, select
from tests.ui.driver import session as session_of

ROOT = SCRIPT.parent


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BHPVAS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-keeping"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


def opened(session: Session | None = None, work: str | None = None) -> AppTest:
    """The app in a browser of its own, at an address that names a work or none."""
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    if session is not None:
        app.session_state["bhpvas"] = session
    if work is not None:
        app.query_params["work"] = work
    return fine(app.run())


@pytest.fixture
def app(folder: Path, tiny: Classifier, dataset: Dataset) -> AppTest:
    """The app on the tiny model and twelve sentences."""
    data = Splits(dataset, dataset.take(range(10)), "by hand")
    return opened(Session(model=str(folder), data=data, scheme=Scheme.of(tiny)))


def work_of(app: AppTest) -> str:
    found = app.query_params["work"]
    return found if isinstance(found, str) else found[0]


def files() -> list[Path]:
    return sorted(workspaces_folder().glob("*.json"))


def test_another_browser_at_the_same_address_finds_everything(
    app: AppTest, tiny: Classifier
) -> None:
    select(app, "L0H1,L1H2")
    press(app, "Remove 2 heads")
    select(app, "L1H3")
    fine(app.slider(key="weight-similarity").set_value(0.75).run())
    fine(app.segmented_control(key="pointer").set_value("layer").run())
    again = opened(work=work_of(app))
    old, new = session_of(app), session_of(again)
    assert new.scheme == old.scheme
    assert (new.selected, new.model) == (old.selected, old.model)
    assert new.data.evaluation.texts == old.data.evaluation.texts
    assert again.slider(key="weight-similarity").value == 0.75
    assert again.segmented_control(key="pointer").value == "layer"
    exact = evaluate(tiny, new.data.evaluation, HeadMask.parse("L0H1,L1H2", 2, 4))
    assert facts(again)["Accuracy"].startswith(f"{100 * exact.accuracy:.1f}%")
    assert work_of(again) == work_of(app)


def test_a_lesson_and_a_tour_go_on_where_they_were(app: AppTest) -> None:
    app.session_state["bhpvas lesson"] = LessonProgress(2, frozenset({0, 1}))
    name = next(iter(TOURS))
    app.session_state["bhpvas tour"] = TourProgress(
        name, LessonProgress(1, frozenset({0})), since=3, left=True
    )
    fine(app.run())
    select(app, "L0H1")
    again = opened(work=work_of(app))
    assert again.session_state["bhpvas lesson"] == LessonProgress(2, frozenset({0, 1}))
    assert again.session_state["bhpvas tour"] == app.session_state["bhpvas tour"]


def test_what_was_asked_and_not_yet_measured_is_done_on_return(app: AppTest) -> None:
    select(app, "L0H1")
    kept = kept_work.Workspaces(workspaces_folder())
    work = work_of(app)
    before = kept.read(work)
    asked = session_of(app).requesting("remove")
    kept.write(work, before.content | kept_work.recorded(asked), after=before.stamp)
    again = opened(work=work)
    assert str(session_of(again).mask) == "L0H1"
    assert facts(again)["Heads"] == "7 of 8 kept"
    assert session_of(again).pending is None


def test_a_second_tab_gets_a_copy_of_its_own_and_says_so(app: AppTest) -> None:
    select(app, "L0H1")
    other = opened(work=work_of(app))
    select(other, "L1H2")
    press(other, "Remove 1 head")
    assert not other.info
    select(app, "L0H0")
    assert work_of(app) != work_of(other)
    assert "copy of its own" in app.info[0].value
    press(app, "Remove 1 head")
    assert not app.info
    assert str(session_of(opened(work=work_of(app))).mask) == "L0H0"
    assert str(session_of(opened(work=work_of(other))).mask) == "L1H2"
    assert len(files()) == 2


def test_looking_at_it_in_a_second_tab_makes_no_copy(app: AppTest) -> None:
    select(app, "L0H1")
    other = opened(work=work_of(app))
    fine(other.run())
    select(app, "L1H1")
    assert len(files()) == 1
    assert not app.info


def test_a_fresh_page_writes_nothing_and_offers_the_latest_works(app: AppTest) -> None:
    select(app, "L0H1,L1H2")
    press(app, "Remove 2 heads")
    fine(listed(app, "parts").set_value(["L1F"]).run())
    press(app, "Remove 32 neurons")
    fresh = opened()
    assert "work" not in fresh.query_params
    assert len(files()) == 1
    (offer,) = [button for button in fresh.button if (button.key or "").startswith("continue-")]
    assert offer.label == "main · 2 heads and 32 neurons removed · 2 steps · just now"
    fine(offer.click().run())
    assert session_of(fresh).scheme == session_of(app).scheme
    assert not [button for button in fresh.button if (button.key or "").startswith("continue-")]


def test_an_edited_copy_of_the_sample_is_there_again_as_it_was_edited() -> None:
    app = opened()
    was = session_of(app).data
    topics = tuple("ab"[place % 2] for place in range(len(was.evaluation)))
    edited = replace(was.evaluation, labels=1 - was.evaluation.labels, groups={"topic": topics})
    mine = replace(was, evaluation=edited)
    app.session_state["bhpvas"] = replace(session_of(app), data=mine).choosing([HeadId(0, 0)])
    fine(app.run())
    (path,) = files()
    again = session_of(opened(work=path.stem)).data.evaluation
    assert again.fingerprint == edited.fingerprint
    assert dict(again.groups) == dict(edited.groups)


def test_what_counts_as_the_sample() -> None:
    sample = sample_splits()
    data = sample.evaluation

    def counts(one: Dataset) -> bool:
        return links.is_sample(replace(sample, evaluation=one))

    assert counts(data) and counts(data.aligned(("Positive", "Negative")))
    assert not counts(replace(data, labels=1 - data.labels))
    assert not counts(replace(data, tags=("mine", *data.tags[1:])))
    assert not counts(replace(data, label_names=("LABEL_0", "LABEL_1")))
    assert not counts(replace(data, groups={"topic": data.tags}))
    assert not counts(data.take(range(9)))


def test_a_name_is_no_markdown_in_an_offer(app: AppTest) -> None:
    app.session_state["bhpvas"] = session_of(app).naming("![x](http://elsewhere/a.png) <b>")
    fine(app.run())
    (offer,) = [one for one in opened().button if (one.key or "").startswith("continue-")]
    assert offer.label.startswith(r"!\[x\](http://elsewhere/a.png) \<b> ·")


def test_damaged_work_is_a_sentence_and_a_normal_session(app: AppTest) -> None:
    select(app, "L0H1")
    (path,) = files()
    path.write_bytes(path.read_bytes()[:100])
    again = opened(work=path.stem)
    assert "damaged" in again.error[0].value
    assert facts(again)["Heads"] == "72 of 72 kept"
    assert "work" not in again.query_params
    assert path.with_suffix(".damaged").exists()


@pytest.mark.parametrize("work", ["nonsense", "../../etc/passwd", "0123456789ab"])
def test_an_unknown_work_is_a_sentence_and_a_normal_session(work: str) -> None:
    again = opened(work=work)
    assert len(again.error) == 1
    assert "fresh start" in again.error[0].value
    assert facts(again)["Heads"] == "72 of 72 kept"


def test_a_model_that_is_gone_is_a_sentence_and_the_file_stays(
    tmp_path: Path, dataset: Dataset
) -> None:
    place = save_tiny(tmp_path / "model")
    scheme = Scheme.of(load_classifier(place))
    app = opened(Session(str(place), Splits(dataset, dataset, "by hand"), scheme))
    select(app, "L0H1")
    place.rename(tmp_path / "elsewhere")
    kept_work.models._loaded.clear()
    again = opened(work=work_of(app))
    assert "is kept, but cannot be opened" in again.error[0].value
    assert files()[0].exists()
    fine(again.run())
    (tmp_path / "elsewhere").rename(place)
    assert str(session_of(opened(work=work_of(app))).scheme.name) == "main"


def test_a_disk_that_cannot_be_written_is_said_and_work_goes_on(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspaces, "write_beside", full)
    select(app, "L0H1")
    assert "No space left on device" in app.warning[0].value
    press(app, "Remove 1 head")
    assert facts(app)["Heads"] == "7 of 8 kept"
    monkeypatch.undo()
    monkeypatch.setenv("BHPVAS_HOME", str(workspaces_folder().parent))
    select(app, "L0H2")
    assert not any("No space left" in one.value for one in app.warning)


#: Settings that were kept when work was first kept: all of them still are.
SETTINGS = {
    *("colour", "stable", "pointer", "weight-{name}", "view", "method", "how-many", "share"),
    *("max-drop", "search-seed", "recovery", "tune-epochs", "tune-rate", "tune-distillation"),
    *("tune-batch", "tune-temperature", "tune-warmup", "tune-decay", "tune-seed"),
    *("tune-embeddings", "units", "marks", "threshold", "saliency", "contribution", "click"),
}


def kept_in(tree: ast.Module) -> set[str]:
    """The keys that a module hands to ``kept_as`` or ``kept_key``, by way of a helper, too."""
    places = {"kept_as": 0, "kept_key": 0}
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call)]
    for function in (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)):
        names = [argument.arg for argument in function.args.args]
        for call in (one for one in ast.walk(function) if isinstance(one, ast.Call)):
            if ast.unparse(call.func) in ("kept_as", "kept_key"):
                given = ast.unparse(call.args[0])
                places |= {function.name: names.index(given)} if given in names else {}
    found = set()
    for call in calls:
        place = places.get(ast.unparse(call.func))
        if place is not None and len(call.args) > place:
            found.add(re.sub(r"^f?'(.*)'$", r"\1", ast.unparse(call.args[place])))
    return found


def test_every_setting_that_was_kept_says_so_at_its_control() -> None:
    found: set[str] = set()
    for path in (ROOT / "bhpvas" / "ui" / "pages").rglob("*.py"):
        found |= kept_in(ast.parse(path.read_text(encoding="utf-8")))
    assert found >= SETTINGS


def test_settings_of_pages_that_were_not_opened_again_stay_kept(app: AppTest) -> None:
    select(app, "L0H1")
    fine(app.segmented_control(key="pointer").set_value("layer").run())
    fine(app.switch_page("pages/schemes.py").run())
    fine(app.segmented_control(key="view").set_value("Propose").run())
    fine(app.segmented_control(key="how-small").set_value("heads").run())
    fine(app.selectbox(key="method").set_value("fisher").run())
    again = opened(work=work_of(app))
    select(again, "L0H2")
    settings = kept_work.store().read(work_of(again)).content["settings"]
    assert (settings["method"], settings["pointer"]) == ("fisher", "layer")
    fine(again.switch_page("pages/schemes.py").run())
    assert again.selectbox(key="method").value == "fisher"
