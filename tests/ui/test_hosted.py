"""The app as strangers see it: nothing on disk, the scheme in the address, limits that are said."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.reading import sample_splits
from bhpvas.errors import LimitError
from bhpvas.heads import parse_heads
from bhpvas.model import encoding
from bhpvas.recovery.finetuning import TuningSettings
from bhpvas.scheme.link import Link
from bhpvas.storage.paths import sample_data_folder, workspaces_folder
from bhpvas.ui import model_and_data
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.persistence import links
from bhpvas.ui.state import limits
from tests.interpret.pipelines import save_chain
from tests.ui.driver import SCRIPT, facts, fine, open_dialog, press, said, select, session, use

COLUMNS = ("text", "pair", "label", "split")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BHPVAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BHPVAS_HOSTED", "1")


def opened(**address: str) -> AppTest:
    app = AppTest.from_file(str(SCRIPT), default_timeout=300)
    for name, value in address.items():
        app.query_params[name] = value
    return fine(app.run())


def parameter(app: AppTest, name: str) -> str:
    found = app.query_params[name]
    return found if isinstance(found, str) else found[0]


def test_nothing_is_written_and_the_address_brings_the_scheme_back(hosted: None) -> None:
    app = opened()
    assert not set(app.query_params) & {"work", "link"}
    select(app, "L0H1,L3H2")
    press(app, "Remove 2 heads")
    select(app, "L5H1")
    assert not workspaces_folder().exists()
    again = opened(link=parameter(app, "link"))
    assert session(again).scheme.mask == session(app).scheme.mask
    assert session(again).selected == frozenset(parse_heads("L5H1"))
    assert facts(again)["Accuracy"] == facts(app)["Accuracy"]
    assert any("Kept in this page's address" in one.value for one in again.caption)
    assert not workspaces_folder().exists()


def test_a_work_of_the_disk_is_not_opened_for_strangers(hosted: None) -> None:
    app = opened(work="0123456789ab")
    assert not app.error
    assert facts(app)["Heads"] == "72 of 72 kept"


def test_weights_that_no_address_holds_are_said(hosted: None) -> None:
    app = opened()
    select(app, "L0H1")
    press(app, "Remove 1 head")
    changed = session(app)
    recovered = changed.scheme.recovered("0" * 16, "compensate")
    app.session_state["bhpvas"] = changed.opening(recovered).cancelling("nothing")
    app.run()
    assert "no address can hold" in app.warning[0].value
    assert "link" not in app.query_params
    assert any("save the scheme" in one.value for one in app.caption)


def test_limits_are_said_in_the_dialog_before_they_are_hit(hosted: None) -> None:
    app = opened()
    open_dialog(app)
    assert limits.current().sentence() in said(app)
    assert [box.key for box in app.text_input if box.key in ("model-id", "data-id")] == []
    assert "Hub id" not in app.segmented_control(key="data-kind").options


def test_no_stranger_opens_a_folder_of_the_server_as_a_parser(hosted: None, tmp_path: Path) -> None:
    app = opened()
    open_dialog(app)
    box = app.selectbox(key="parser")
    box.options.append(save_chain(tmp_path / "chain"))  # as a browser could send it
    box.set_value(str(tmp_path / "chain"))
    use(app)
    assert not app.error and session(app).parser is None
    open_dialog(app)
    app.selectbox(key="parser").set_value("en_core_web_sm")
    use(app)
    assert session(app).parser == "en_core_web_sm"


@pytest.mark.parametrize(
    ("rows", "part"),
    [(5_001, "5,001 sentences"), (4_000, "tokens, and this server takes up to 200,000")],
)
def test_too_much_data_is_one_sentence_and_all_stays(hosted: None, rows: int, part: str) -> None:
    app = opened()
    before = session(app)
    open_dialog(app)
    fine(app.segmented_control(key="data-kind").set_value("Upload").run())
    line = "a film" if rows > 4_000 else "a film " * 60
    content = "text,label\n" + "".join(f"{line} {row},{row % 2}\n" for row in range(rows))
    fine(
        app.file_uploader(key="data-file")
        .set_value(("mine.csv", content.encode(), "text/csv"))
        .run()
    )
    use(app)
    assert len(app.error) == 1
    assert part in app.error[0].value
    assert session(app).data is before.data


def test_a_small_file_of_much_text_is_refused_before_it_is_tokenised(
    hosted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    texts = ["! " * 9_990 + str(row % 7) for row in range(600)]
    pq.write_table(
        pa.table({"text": texts, "label": ["positive", "negative"] * 300}),
        content,
        compression="zstd",
    )
    assert content.tell() < 2_000
    monkeypatch.setattr(encoding, "tokenised", lambda *_: pytest.fail("tokenised"))
    content.name = "mine.parquet"
    with pytest.raises(LimitError, match="more than the 5 MB of text"):
        model_and_data.fresh_session(
            None, model_and_data._from_upload(content, dict.fromkeys(COLUMNS))
        )


def test_a_server_keeps_to_the_size_of_uploads_where_the_browser_does_not(hosted: None) -> None:
    large = b" " * (5 * 2**20 + 1)
    content = io.BytesIO(b"text,label\n" + large)
    content.name = "mine.csv"
    with pytest.raises(LimitError, match=r"mine\.csv is larger than the 5 MB"):
        model_and_data._from_upload(content, dict.fromkeys(COLUMNS))
    app = opened()
    before = session(app).scheme
    scheme = before.renamed("larger").to_json().encode() + large
    app.file_uploader(key="scheme-file").set_value(("mine.json", scheme, "application/json"))
    fine(app.run())
    assert "mine.json is larger than the 5 MB" in app.error[0].value
    assert session(app).scheme == before


def test_nothing_is_fine_tuned(hosted: None) -> None:
    app = opened()
    select(app, "L0H1")
    press(app, "Remove 1 head")
    work = schemes_tasks.tuning(session(app), TuningSettings()).work
    with pytest.raises(LimitError, match="does not fine-tune"):
        work(Job())


# --- links, on a person's own computer ------------------------------------------------------------


def test_a_link_opens_scheme_selection_and_sentence() -> None:
    app = opened()
    scheme = session(app).scheme.removing(parse_heads("L0H1,L3H2")).renamed("shared")
    heads = frozenset(parse_heads("L4H4"))
    link = Link(scheme, row=("calibration", 7), selected=heads)
    other = opened(link=link.to_text())
    found = session(other)
    assert facts(other)["Heads"] == "70 of 72 kept"
    assert facts(other)["Scheme"] == "shared"
    assert found.selected == heads
    assert found.sentence.text == sample_splits().calibration.texts[7]
    assert "link" not in other.query_params
    assert "work" in other.query_params


def test_a_typed_sentence_travels() -> None:
    scheme = session(opened()).scheme
    other = opened(link=Link(scheme, text=("a <b>fine</b> film", None)).to_text())
    assert session(other).sentence.text == "a <b>fine</b> film"
    assert session(other).sentence.row is None


def test_other_sentences_are_said() -> None:
    scheme = session(opened()).scheme.removing(parse_heads("L0H1"))
    other = opened(link=Link(scheme, data=("0" * 16, "mine.csv")).to_text())
    assert "made on other sentences" in other.info[0].value
    assert facts(other)["Heads"] == "71 of 72 kept"


def test_a_link_on_the_same_sentences_knows_what_its_steps_learnt_from() -> None:
    app = opened()
    select(app, "L0H1,L3H2")
    press(app, "Remove 2 heads")
    (step,) = session(app).scheme.steps[1:]
    assert step.learnt_from is not None and len(step.learnt_from) == 240
    link = links.link_of(session(app)).to_text()
    (same,) = session(opened(link=link)).scheme.steps[1:]
    assert same.learnt_from == step.learnt_from
    older = session(app).scheme.at(0).removing(parse_heads("L0H1"), "importance")
    assert "Nobody knows how many of the 480 sentences" in said(opened(link=Link(older).to_text()))


@pytest.mark.parametrize("link", ["", "nonsense", "a" * 5000, "<script>alert(1)</script>"])
def test_a_bad_link_is_a_sentence_and_a_normal_session(link: str) -> None:
    app = opened(link=link)
    assert len(app.error) == 1
    assert app.error[0].value.startswith("The link is damaged")
    assert facts(app)["Heads"] == "72 of 72 kept"
    assert "link" not in app.query_params


def test_a_link_of_another_model_is_a_sentence() -> None:
    scheme = session(opened()).scheme
    changed = scheme.removing(parse_heads("L0H1"))
    changed.model["fingerprint"] = "another"
    app = opened(link=Link(changed).to_text())
    assert "made for the model" in app.error[0].value
    assert facts(app)["Heads"] == "72 of 72 kept"


def test_a_sentence_that_is_not_there_is_said() -> None:
    app = opened(link=Link(session(opened()).scheme, row=("evaluation", 10_000)).to_text())
    assert "does not have" in app.error[0].value


def test_a_model_of_a_link_is_loaded_only_once_the_person_says_so(tmp_path: Path) -> None:
    scheme = session(opened()).scheme
    app = opened(link=Link(scheme, model=str(tmp_path / "nowhere")).to_text())
    assert not app.error
    assert facts(app)["Heads"] == "72 of 72 kept"
    press(app, "Load it and open the link")
    assert "nowhere" in app.error[0].value


def test_a_link_that_waits_is_there_after_a_reload_and_leaves_other_work_alone() -> None:
    model = sample_data_folder() / "model"
    scheme = session(opened()).scheme.removing(parse_heads("L0H1"))
    app = opened(link=Link(scheme, model=str(model)).to_text())
    select(app, "L3H3")
    press(app, "Remove 1 head")
    work, link = parameter(app, "work"), parameter(app, "link")
    app = opened(work=work, link=link)
    assert str(session(app).mask) == "L3H3"
    press(app, "Load it and open the link")
    assert not app.error
    assert str(session(app).mask) == "L0H1"
    assert session(app).model == str(model)
    assert "link" not in app.query_params
    assert parameter(app, "work") != work
    assert str(session(opened(work=work)).mask) == "L3H3"


def test_a_link_may_be_left(tmp_path: Path) -> None:
    scheme = session(opened()).scheme
    app = opened(link=Link(scheme, model=str(tmp_path / "nowhere")).to_text())
    press(app, "Leave it")
    assert not app.error
    assert not app.info
    assert "link" not in app.query_params
    assert facts(app)["Heads"] == "72 of 72 kept"


def test_a_server_for_strangers_opens_no_other_model_by_a_link(
    hosted: None, tmp_path: Path
) -> None:
    scheme = session(opened()).scheme
    app = opened(link=Link(scheme, model=str(tmp_path)).to_text())
    assert "not offered on this server" in app.error[0].value
