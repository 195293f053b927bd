"""What was read, in the sidebar: the line, the table behind it, doubts, and what the sample is."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.provenance import Provenance
from bhpvas.data.reading import sample_splits
from bhpvas.evaluation.data_record import data_record, side_by_side
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.storage.paths import sample_data_folder
from bhpvas.ui import sidebar
from bhpvas.ui.jobs import models
from bhpvas.ui.state.session import Session
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import SCRIPT, fine, open_app

READ = Provenance("review", None, "stars", "separated by tabs", "number", {"no label": 2})


def session_on(classifier: Classifier, learnt: Dataset, measured: Dataset) -> Session:
    return Session(classifier.source, Splits(learnt, measured, ""), Scheme.of(classifier))


def line(app: AppTest) -> str:
    labels = [str(one.proto.popover.label) for one in app.get("popover")]
    (found,) = [one for one in labels if one.startswith(("Read: ", "What was read"))]
    return found


def shown(app: AppTest) -> str:
    return "".join(html.value for html in app.html)


def test_the_line_says_columns_and_match_and_counts_notes(
    tiny: Classifier, dataset: Dataset
) -> None:
    told = replace(dataset, provenance=replace(READ, notes=("A guess.", "Another.")))
    other = replace(told, provenance=replace(told.provenance, notes=("A guess.", "A third.")))
    app = open_app(session_on(tiny, told, other))
    assert line(app) == "Read: review, stars · by number · 1.2% unknown tokens · 3 notes"
    pairs = replace(
        dataset, provenance=replace(READ, text="*a* " + "b" * 30, pair="c", matched="start of name")
    )
    app = open_app(session_on(tiny, pairs, pairs))
    read = r"Read: \*a\* " + "b" * 13 + "…, c, stars · by start of name"
    assert line(app) == f"{read} · 1.2% unknown tokens"
    plain = dataset.take([0, 1, 2, 5])
    assert line(open_app(session_on(tiny, plain, plain))) == "What was read"


PAGES = sorted(path.stem for path in (SCRIPT.parent / "pages").glob("*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_names_what_the_model_cannot_read(
    page: str, tiny: Classifier, dataset: Dataset
) -> None:
    """Cut sentences of both splits, and unknown tokens; notes of copies are counted."""
    texts = (f"the film is good{' and long' * 20}", "the xyzzy film", "a fine hotel", "awful")
    learnt = replace(dataset.take(range(4)), texts=texts)
    measured = replace(learnt, texts=(texts[0], *texts[2:], "A fine hotel "))
    app = open_app(session_on(tiny, learnt, measured), page)
    assert line(app) == "What was read · 2 sentences cut · up to 2.2% unknown tokens · 1 note"


def test_the_table_is_made_once_the_line_is_opened(
    tiny: Classifier, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    record = models.record
    monkeypatch.setattr(
        models, "record", lambda model, data: asked.append(data.name) or record(model, data)
    )
    learnt = replace(dataset.take(range(5)), name="learnt", provenance=READ)
    measured = replace(dataset, name="measured", provenance=replace(READ, notes=("A *guess*.",)))
    app = open_app(session_on(tiny, learnt, measured))
    assert asked == [] and "Label column" not in shown(app)
    app.session_state["read"] = True
    fine(app.run())
    assert asked == ["learnt", "measured"]
    expected = side_by_side(data_record(tiny, learnt), data_record(tiny, measured))
    for cells in expected:
        name, *others = map(escape, cells)
        row = f'<td class="name">{name}</td>' + "".join(f"<td>{one}</td>" for one in others)
        assert row in shown(app)
    assert r"A \*guess\*." in [one.value for one in app.caption]


def test_sentences_that_the_tokenizer_does_not_know_are_a_sentence(
    tiny: Classifier, dataset: Dataset
) -> None:
    foreign = replace(dataset, texts=("xyzzy",) * len(dataset))
    app = open_app(session_on(tiny, dataset, foreign), read=True)
    assert any("unknown to the tokenizer" in box.value for box in app.error)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Dataset]:
    """A model, and sentences labelled by its answers, each with the other label."""
    classifier = load_classifier(save_tiny(tmp_path_factory.mktemp("turned"), seed=1))
    plain = many_sentences(60)
    answers = evaluate(classifier, plain).predictions
    assert 15 < answers.sum() < 45
    return classifier, replace(plain, labels=1 - answers)


def test_a_doubt_stands_by_the_accuracy_whatever_is_removed(
    turned: tuple[Classifier, Dataset],
) -> None:
    classifier, data = turned
    session = session_on(classifier, data, data)
    every = parse_heads(",".join(f"L{layer}H{head}" for layer in range(2) for head in range(4)))
    for scheme in (session.scheme, session.scheme.removing(every)):
        (warning,) = open_app(replace(session, scheme=scheme)).warning
        assert warning.value.startswith("The labels look exchanged: ")
    right = replace(data, labels=1 - data.labels)
    app = open_app(replace(session_on(classifier, right, right), scheme=scheme))
    assert not app.warning


def test_the_sample_says_what_its_accuracy_is_of() -> None:
    """By the tags of the evaluation that is shown; SST-2 is said of the sample model alone."""
    data, classifier = sample_splits(), load_classifier()
    scheme = Scheme.of(classifier).removing(parse_heads("L0H1,L0H2,L1H0"))
    session = Session(None, data, scheme)
    found = evaluate(classifier, data.evaluation, scheme.mask)
    said = "Sentences made hard on purpose: "
    for tag in ("plain", "irony"):
        rows = [row for row, one in enumerate(data.evaluation.tags or ()) if one == tag]
        assert len(rows) == 40
        said += f"{tag} {100 * found.right[rows].mean():.0f}%, "
    said = said.removesuffix(", ") + "."
    assert f"{said} Unpruned, the model has 90.8% on SST-2 validation.<" in shown(open_app(session))
    another = replace(session, model=str(sample_data_folder() / "model"))
    assert f">{said}<" in sidebar._about_the_sample(another, found)


def test_its_accuracy_on_sst2_is_that_of_its_card() -> None:
    card = (sample_data_folder() / "model" / "README.md").read_text(encoding="utf-8")
    assert f"**Accuracy:** {100 * sidebar.SAMPLE_ON_SST2:.1f}% " in card
    assert "validation sentences of SST-2" in " ".join(card.split())


def test_other_sentences_are_not_called_hard(app: AppTest) -> None:
    assert "on purpose" not in shown(app)
