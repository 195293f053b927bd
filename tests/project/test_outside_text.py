"""What a file, a link or a person named is shown as it is: Markdown could fetch a picture by it.

Whatever comes from outside is named like a picture here, and no page may draw one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from bhpvas.charts.step_texts import outcome
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.provenance import Provenance
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.recovery import recover
from bhpvas.scheme.link import Link
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import models
from bhpvas.ui.pages.learn.lesson import LESSONS
from bhpvas.ui.state.lessons import TourProgress
from bhpvas.ui.state.session import Opened, Session
from tests.interpret.pipelines import save_chain
from tests.tiny import save_tiny
from tests.ui.driver import SCRIPT, fine

PICTURE = "![x](https://elsewhere.example/a.png)"
#: A picture or a link, unless a backslash stands before its bracket.
MARKUP = re.compile(r"(?<!\\)(?:\\\\)*(?:!\[|\]\()")
#: Elements and fields of them whose text is no Markdown.
PLAIN = {"html", "code", "plotly_chart", "arrow_data_frame", "bidi_component", "component_instance"}
PLAIN_FIELDS = {
    "value",
    "default",
    "options",
    "placeholder",
    "raw_value",
    "raw_values",
    "url",
    "id",
    "form_id",
    "alt_text",
}
MARKDOWN_OPTIONS = {"button_group"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    folder = save_tiny(tmp_path_factory.mktemp("tiny-pictures"), seed=5)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"positive"', f'"{PICTURE}"'))
    return load_classifier(folder)


@pytest.fixture
def data(dataset: Dataset) -> Splits:
    named = replace(
        dataset,
        name=f"{PICTURE}.tsv",
        texts=(f"{PICTURE} a good film", *dataset.texts[1:]),
        label_names=("negative", PICTURE),
        tags=tuple(f"{PICTURE} {place % 2}" for place in range(len(dataset))),
        provenance=Provenance(
            PICTURE, PICTURE, PICTURE, PICTURE, "name", {PICTURE: 1}, (f"{PICTURE} was guessed.",)
        ),
        groups={PICTURE: tuple(f"{PICTURE} {place % 3}" for place in range(len(dataset)))},
    )
    return Splits(named, replace(named, name=f"{PICTURE} here"), f"parted by {PICTURE}")


def scheme_of(tiny: Classifier) -> Scheme:
    scheme = Scheme.of(tiny, name=PICTURE).removing(parse_heads("L0H1"), PICTURE, note=PICTURE)
    return scheme.noted(1, PICTURE)


@pytest.fixture
def opened(tiny: Classifier, data: Splits) -> Session:
    return Session(
        model=tiny.source,
        data=data,
        scheme=scheme_of(tiny),
        selected=frozenset(parse_heads("L0H2")),
        error=f"{PICTURE} cannot be used.",
        notice=f"The numbers are of {PICTURE}.",
    )


def started(session: Session, page: str = "workbench", **state: Any) -> AppTest:
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    app.session_state["bhpvas"] = session
    for key, value in state.items():
        app.session_state[key] = value
    fine(app.run())
    return fine(app.switch_page(f"pages/{page}.py").run())


def read_as_markdown(app: AppTest) -> list[str]:
    """Every text of the page, those of elements and fields that show it as it is excepted."""
    found: list[str] = []
    nodes = list(app._tree.children.values())
    while nodes:
        node = nodes.pop()
        nodes += getattr(node, "children", {}).values()
        kind, proto = node.type, getattr(node, "proto", None)
        if isinstance(proto, Message) and kind not in PLAIN:
            plain = PLAIN_FIELDS - ({"options"} if kind in MARKDOWN_OPTIONS else set())
            found += _texts(proto, plain)
    return found


def _texts(message: Message, plain: set[str]) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.name in plain:
            continue
        for one in value if field.is_repeated else [value]:
            if isinstance(one, str):
                yield one
            elif isinstance(one, Message):
                yield from _texts(one, plain)


def no_picture(app: AppTest) -> AppTest:
    texts = read_as_markdown(fine(app))
    assert len(texts) > 10
    assert [text for text in texts if MARKUP.search(text)] == []
    return app


def test_the_search_finds_what_is_not_escaped() -> None:
    def script() -> None:
        import streamlit as st

        st.button("![a](b)", help="[c](d)")
        st.selectbox("e", ["![f](g)"])
        st.pills("h", ["![i](j)"])

    texts = read_as_markdown(AppTest.from_function(script).run())
    assert {text for text in texts if MARKUP.search(text)} == {"![a](b)", "[c](d)", "![i](j)"}
    assert MARKUP.search(PICTURE)
    assert MARKUP.search(rf"\\{PICTURE[1:]}")
    assert not MARKUP.search(r"!\[x\](https://elsewhere.example/a.png)")


@pytest.mark.parametrize("page", ["workbench", "samples", "sentence", "roles", "export", "schemes"])
def test_no_page_draws_a_picture_that_a_file_names(opened: Session, page: str) -> None:
    app = no_picture(started(opened, page))
    if page == "samples":
        app.segmented_control(key="panel-of-samples").set_value("Slices")
        no_picture(app.run())
        app.session_state["bhpvas"] = app.session_state["bhpvas"].choosing_sentences({0, 2})
        app.segmented_control(key="panel-of-samples").set_value("Heads that matter here")
        no_picture(app.run())
    if page == "sentence":
        reading = app.session_state["bhpvas"].reading(Opened(PICTURE))
        app.session_state["bhpvas"] = reading
        no_picture(app.run())


def test_no_relation_that_a_parser_names_draws_one(opened: Session, tmp_path: Path) -> None:
    folder = tmp_path / "![x]("
    folder.mkdir()
    parser = save_chain(folder / "chain", relation=f"{PICTURE} <b>")
    session = replace(opened, parser=parser)
    app = no_picture(started(session, "roles", fewest=1))
    assert any(PICTURE[4:] in text for text in read_as_markdown(app))
    app.selectbox(key="role-relation").set_value(f"{PICTURE} <b>")
    no_picture(app.run())
    app = no_picture(started(session, "sentence"))
    assert any("chain, strong" in text for text in read_as_markdown(app))
    specs = [one.proto.spec for one in app.get("plotly_chart")]
    assert any("&lt;b&gt;" in spec.replace("\\u003c", "<") for spec in specs)
    no_picture(started(replace(session, dialog=True)))
    gone = replace(session, parser=str(folder / "nowhere"))
    app = started(gone, "roles")
    assert "There is no folder" in app.error[-1].value
    no_picture(app)


@pytest.mark.parametrize("view", ["Tree", "Propose", "Fine-tune", "Compare", "Evidence", "Shift"])
def test_no_view_of_schemes_draws_one(
    opened: Session, tiny: Classifier, dataset: Dataset, view: str
) -> None:
    found = recover(tiny, dataset, opened.mask)
    weights = models.keep_weights(found.weights)
    scheme = opened.scheme.recovered(weights, PICTURE)
    no_picture(started(replace(opened, scheme=scheme), "schemes", view=view))
    then = scheme.removing(parse_heads("L1H1"), PICTURE)
    no_picture(started(replace(opened, scheme=then), "schemes", view=view))


def test_no_line_on_a_recovered_scheme_draws_one(
    opened: Session, tiny: Classifier, dataset: Dataset
) -> None:
    weights = models.keep_weights(recover(tiny, dataset, opened.mask).weights)
    scheme = opened.scheme.recovered(weights, PICTURE)
    app = started(replace(opened, scheme=scheme, selected=frozenset()))
    assert any(PICTURE[4:] in text for text in read_as_markdown(app))
    no_picture(app)


@pytest.mark.parametrize("view", ["Lesson", "Tours", "Criteria", "Glossary"])
def test_no_view_of_learn_draws_one(opened: Session, view: str) -> None:
    app = started(opened, "learn", **{"learn-view": view})
    no_picture(app)
    if view == "Lesson":
        for step in range(len(LESSONS)):
            app.pills(key="lesson-step").set_value(step)
            no_picture(app.run())


def test_the_dialog_draws_none(opened: Session) -> None:
    app = started(replace(opened, dialog=True))
    assert any(PICTURE[4:] in text for text in read_as_markdown(app))
    no_picture(app)


def test_what_was_read_draws_none(opened: Session) -> None:
    app = started(opened, read=True)
    assert any("was guessed" in text for text in read_as_markdown(app))
    no_picture(app)


def test_a_link_draws_none(tiny: Classifier) -> None:
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    scheme = scheme_of(tiny)
    app.query_params["link"] = Link(scheme, PICTURE, data=("0" * 16, PICTURE)).to_text()
    no_picture(app.run())


def test_a_tour_draws_none(opened: Session) -> None:
    no_picture(started(opened, "samples", **{"bhpvas tour": TourProgress("schemes")}))


def test_the_outcome_of_a_recovery_is_named_as_it_is(tiny: Classifier) -> None:
    scheme = Scheme.of(tiny).recovered("0" * 16, PICTURE)
    assert outcome(scheme, scheme.step(1)).startswith(r"**Step 1: !\[x\](https")
