"""The page Sentence on a tiny model: every control and what it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.interpret.saliency import SALIENCIES
from bhpvas.interpret.sentence import contributions
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import predict
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import Opened, Session
from bhpvas.ui.widgets.head_map import picking
from tests.ui.driver import listed, open_app, said, session

HOSTILE = "</script><img src=x onerror=alert(1)> is a <b>good</b> film ."


def fine(app: AppTest) -> AppTest:
    """The app, which shows neither exception nor error."""
    assert [box.value for box in [*app.exception, *app.error]] == []
    return app


def opened(
    page: str, classifier: Classifier, dataset: Dataset, removed: str = "", **settings
) -> AppTest:
    """A page on the tiny model, settled."""
    scheme = Scheme.of(classifier)
    if removed:
        scheme = scheme.removing(parse_heads(removed))
    return fine(
        open_app(
            Session(
                model=classifier.source,
                data=Splits(dataset, dataset, "by hand"),
                scheme=scheme,
                **settings,
            ),
            page,
        )
    )


def html(app: AppTest) -> str:
    return "".join(one.value for one in app.html)


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [one for one in app.button if one.label == label]
    assert not button.disabled
    return fine(button.click().run())


def chances(classifier: Classifier, text: str, mask: HeadMask | None = None) -> np.ndarray:
    return softmax(predict(classifier, classifier.encode_texts([text]), mask)[0].astype(float))


def test_it_opens_on_the_first_sentence_with_its_prediction(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    found = chances(classifier, dataset.texts[0])
    answer = classifier.label_names[found.argmax()]
    assert f"{answer} {100 * found.max():.1f}%" in html(app)
    assert "Label in the data" in html(app)
    strength = np.abs(contributions(classifier, dataset.texts[0]).removal)
    best = np.unravel_index(strength.argmax(), strength.shape)
    assert f"No head is selected: L{best[0]}H{best[1]}" in said(app)


def test_another_sentence_can_be_chosen(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    fine(app.selectbox(key="sentence-row").set_value(4).run())
    assert session(app).sentence == session(app).sentence_at(4)
    assert f"{100 * chances(classifier, dataset.texts[4]).max():.1f}%" in html(app)


def test_a_row_of_other_data_is_shown_anew(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    fine(app.run())
    assert not app.selectbox(key="sentence-row").proto.set_value
    other = replace(dataset, texts=dataset.texts[::-1])
    app.session_state["bhpvas"] = replace(session(app), data=Splits(other, other, "by hand"))
    fine(app.run())
    # Of the same number as before, the browser would go on showing the sentence of the old data.
    assert app.selectbox(key="sentence-row").proto.set_value


def test_a_sentence_of_the_calibration_split_can_be_chosen(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    fine(app.segmented_control(key="sentence-from").set_value("Calibration").run())
    assert app.selectbox(key="sentence-row").value is None
    fine(app.selectbox(key="sentence-row").set_value(3).run())
    assert session(app).sentence == session(app).sentence_at(3, "calibration")
    assert app.segmented_control(key="sentence-from").value == "Calibration"


def test_every_row_of_large_data_can_be_found(classifier, dataset) -> None:
    many = dataset.take(np.arange(1_300) % len(dataset))
    many = replace(many, texts=tuple(f"{text} {row}" for row, text in enumerate(many.texts)))
    app = opened("sentence", classifier, many)
    box = app.selectbox(key="sentence-row")
    assert len(box.options) == 1_000
    assert "300 more: search" in said(app)
    fine(app.text_input(key="sentence-search").set_value("1299").run())
    assert [one.split(" · ")[0] for one in app.selectbox(key="sentence-row").options] == [
        "0",  # the one that is open
        "1299",
    ]
    fine(app.selectbox(key="sentence-row").set_value(1299).run())
    assert session(app).sentence.row == 1299
    fine(app.text_input(key="sentence-search").set_value("HOTEL meal").run())
    found = app.selectbox(key="sentence-row").options[1:]
    assert len(found) == len(range(2, 1_300, 12)) and all(
        "hotel" in one and "meal" in one for one in found
    )


def test_a_sentence_can_be_typed_and_its_markup_stays_text(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    fine(app.segmented_control(key="sentence-from").set_value("Typed").run())
    fine(app.text_input(key="sentence-typed").set_value(HOSTILE).run())
    assert session(app).sentence == Opened(HOSTILE)
    assert f"{100 * chances(classifier, HOSTILE).max():.1f}%" in html(app)
    assert "<img" not in html(app) and "Label in the data" not in html(app)
    for view in ("Head view", "Model view"):
        fine(app.segmented_control(key="bertviz").set_value(view).run())


def test_a_sentence_opened_elsewhere_takes_over(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset, opened=Opened("not good"))
    assert app.segmented_control(key="sentence-from").value == "Typed"
    assert app.text_input(key="sentence-typed").value == "not good"
    app.session_state["bhpvas"] = session(app).reading(session(app).sentence_at(2))
    fine(app.run())
    assert app.selectbox(key="sentence-row").value == 2


def test_heads_switched_here_move_the_probabilities_and_nothing_else(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset, "L0H1")
    scheme = session(app).scheme
    # L0H1 is removed by the scheme, so switching it turns it on.
    changed = picking(session(app), [HeadId(1, 2), HeadId(0, 1)], "switch")
    app.session_state["bhpvas"] = changed
    fine(app.run())
    here = chances(classifier, dataset.texts[0], HeadMask.parse("L1H2", 2, 4))
    assert "Here, 7 of 8 heads" in html(app) and "Scheme, 7 of 8 heads" in html(app)
    assert f"{100 * here.max():.1f}%" in html(app)
    assert session(app).scheme == scheme
    press(app, "Switch all back")
    assert not session(app).switched
    assert "Here," not in html(app)


def test_a_second_click_switches_back_and_a_step_forgets(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    once = picking(session(app), [HeadId(1, 2)], "switch")
    assert once.mask_here == HeadMask.parse("L1H2", 2, 4) and not once.selected
    assert picking(once, [HeadId(1, 2)], "switch").mask_here == once.mask
    assert not once.moved(once.scheme.removing([HeadId(0, 0)])).switched
    assert not once.reading(once.sentence_at(3)).switched


@pytest.mark.parametrize("units", ["words", "pieces"])
@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("method", list(SALIENCIES))
def test_every_way_to_draw_the_sentence(classifier, dataset, units, marks, method) -> None:
    heads = frozenset(parse_heads("L0H0,L0H1,L0H2,L0H3,L1H0"))
    app = opened("sentence", classifier, dataset, selected=heads)
    app.segmented_control(key="units").set_value(units)
    app.toggle(key="marks").set_value(marks)
    app.selectbox(key="saliency").set_value(method)
    app.segmented_control(key="contribution").set_value("gate gradient")
    fine(app.slider(key="threshold").set_value(0.0).run())
    assert "The first 4 of 5 selected heads are shown." in said(app)
    assert SALIENCIES[method].misleads in said(app)


def test_a_long_sentence_is_cut_with_a_note(classifier, dataset, monkeypatch) -> None:
    monkeypatch.setattr("bhpvas.interpret.sentence.MOST_TOKENS", 6)
    text = "we like this very long film and the short book"
    app = opened("sentence", classifier, dataset, opened=Opened(text))
    assert "The first 6 of 12 tokens are drawn." in said(app)


@pytest.mark.parametrize("view", ["one head", "a layer", "rollout"])
def test_every_matrix_follows_the_selection(classifier, dataset, view) -> None:
    app = opened("sentence", classifier, dataset, selected=frozenset([HeadId(1, 2)]))
    fine(app.segmented_control(key="matrix-of").set_value(view).run())
    keys = {"one head": "matrix-head", "a layer": "layer", "rollout": "rollout-of"}
    expected = {"one head": HeadId(1, 2), "a layer": 1, "rollout": 0}
    assert app.selectbox(key=keys[view]).value == expected[view]


def test_pairs_are_read_together(classifier, dataset) -> None:
    pairs = Dataset(
        "pairs", dataset.texts, dataset.texts[::-1], dataset.labels, dataset.label_names
    )
    app = opened("sentence", classifier, pairs)
    encoded = classifier.encode_texts([pairs.texts[0]], [pairs.pairs[0]])
    expected = softmax(predict(classifier, encoded)[0].astype(float))
    assert f"{100 * expected.max():.1f}%" in html(app)
    fine(app.segmented_control(key="sentence-from").set_value("Typed").run())
    fine(app.text_input(key="sentence-typed").set_value("not good").run())
    assert session(app).sentence.pair is not None


def test_roles_can_be_laid_over_any_map(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    fine(app.toggle(key="labels-contribution-map").set_value(True).run())
    assert session(app).labelled
    fine(app.switch_page("pages/workbench.py").run())
    assert app.toggle(key="labels-head-map").value is True


def test_a_switch_that_was_just_turned_is_not_turned_back(classifier, dataset) -> None:
    """A page that is being drawn does not know of it yet, and leaves the browser's switch alone."""
    app = opened("sentence", classifier, dataset)
    fine(app.run())
    assert not app.toggle(key="labels-contribution-map").proto.set_value
    assert not app.selectbox(key="sentence-row").proto.set_value


def test_heads_are_switched_for_a_sentence_by_name(classifier, dataset) -> None:
    app = opened("sentence", classifier, dataset)
    fine(listed(app, "switched").set_value(["L0H2"]).run())
    assert session(app).switched == {HeadId(0, 2)}
    fine(listed(app, "switched").set_value([]).run())
    assert not session(app).switched


def test_every_view_has_a_reading_aid_and_a_source(classifier, dataset) -> None:
    for page, views in (("sentence", 4), ("roles", 4)):
        app = opened(page, classifier, dataset)
        titles = [one for one in app.html if one.value.startswith(("<h1 class", "<h2 class"))]
        assert len(titles) == views
        assert sum(one.value.startswith("Source: ") for one in app.caption) >= views


def test_what_the_model_cannot_read_of_a_sentence_is_said(classifier, dataset) -> None:
    def captions(typed: str, pair: str | None = None) -> list[str]:
        app = opened("sentence", classifier, dataset, opened=Opened(typed, pair))
        return [one.value for one in app.caption if "cut:" in one.value or "Unknown" in one.value]

    assert captions("the film is good") == []
    (cut,) = captions("the film is good" + " and long" * 20)
    assert cut.startswith("This sentence is cut: the model reads 40 tokens") and "Unk" not in cut
    (unknown,) = captions("the xyzzy film plugh")
    assert unknown.startswith("Unknown to the tokenizer: 2 of 4 tokens.")
    (both,) = captions("xyzzy" + " long" * 40, "a film")
    assert "This pair is cut" in both and "1 of 37 tokens" in both


GERMAN = "Das Essen war kalt und der Kellner ist nicht freundlich gewesen."


def test_a_sentence_of_another_language_gets_a_sentence_and_no_dependency(
    classifier, dataset
) -> None:
    def drawn(**settings) -> tuple[bool, bool]:
        app = opened("sentence", classifier, dataset, **settings)
        arcs = (
            "nsubj" in next(one for one in app.get("plotly_chart") if "arcs" in one.proto.id).spec
        )
        return "The text is plainly not English" in said(app), arcs

    assert drawn(opened=Opened("The cat sleeps .")) == (False, True)
    assert drawn(opened=Opened(GERMAN)) == (True, False)
    assert not drawn(opened=Opened(GERMAN), parser="en_core_web_sm")[0]
    # Too short to be told by itself, it is what the data are.
    assert drawn(opened=Opened("Wunderbar."))[0] is False
    # Of words half of which the tiny tokenizer knows: no page measures on sentences of others.
    german = replace(dataset, texts=("der film und das film ist film film .",) * len(dataset))
    app = opened("sentence", classifier, german, opened=Opened("Wunderbar."))
    assert "choose a parser of that language under “Change model or data”" in said(app)


def test_text_without_blanks_is_drawn(classifier, dataset) -> None:
    for text in ("电池连半天都用不了。", "料理は冷たくて、店員も親切ではなかった。"):
        for asked in (None, "en_core_web_sm"):
            app = opened("sentence", classifier, dataset, opened=Opened(text), parser=asked)
            assert ("plainly not English" in said(app)) == (asked is None)
