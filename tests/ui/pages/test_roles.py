"""The page Roles on a tiny model: what the library finds, where a head follows, its examples."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from bhpvas.data.dataset import Splits
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.roles import ROLES, RoleSettings, find_roles
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import Session
from tests.interpret.pipelines import save_chain
from tests.tiny import save_tiny
from tests.ui.driver import listed, open_app, said, session
from tests.ui.pages.test_sentence import fine, html, opened, press


def test_the_roles_page_says_what_the_library_finds(classifier, dataset) -> None:
    app = opened("roles", classifier, dataset)
    assert "No relation has 100 dependents here" in said(app)
    fine(app.number_input(key="fewest").set_value(3).run())
    roles = find_roles(classifier, dataset, settings=RoleSettings(min_count=3))
    judged = [name for name, one in roles.relations.items() if one.judged]
    assert app.selectbox(key="role-relation").options == ["role", "any relation", *judged]
    for label, heads in roles.carriers().items():
        role, _, detail = label.partition(": ")
        title = f"{ROLES[role].title}: {detail}" if detail else ROLES[role].title
        assert f'<td class="name">{title}</td><td>{len(heads)}</td>' in html(app)
    # Twelve sentences prove no relation: the page says so, and which head came nearest.
    assert not any(label.startswith("syntactic") for label in roles.carriers())
    relation, head = max(
        ((roles.relations[name], head) for name in judged for head in roles.mask),
        key=lambda pair: pair[0].accuracy[pair[1].layer, pair[1].head] - pair[0].baseline,
    )
    assert "No head follows a relation" in said(app)
    assert f"{head} comes nearest" in said(app) and f"{relation.count} {relation.name}" in said(app)
    for colour in ("any relation", judged[0]):
        fine(app.selectbox(key="role-relation").set_value(colour).run())


@pytest.mark.parametrize("way", ["either way", "dependent to head", "head to dependent"])
def test_a_cell_shows_where_the_head_follows_and_where_not(classifier, dataset, way) -> None:
    app = opened("roles", classifier, dataset)
    app.number_input(key="fewest").set_value(3)
    app.segmented_control(key="role-way").set_value(way)
    roles = find_roles(classifier, dataset, settings=RoleSettings(min_count=3))
    name = next(iter(roles.relations))
    app.session_state["role-cell"] = (name, (1, 2))
    fine(app.run())
    relation = roles.relations[name]
    ways = ("dependent to head", "head to dependent")
    which = int(relation.direction[1, 2]) if way == "either way" else ways.index(way)
    right = round(relation.accuracies[which, 1, 2] * relation.count)
    assert f"**Follows the relation:** {right}" in said(app)
    assert f"**Does not:** {relation.count - right}" in said(app)
    assert 'class="governor"' in html(app) and 'class="dependent"' in html(app)


def test_the_keyboard_asks_for_examples_too(classifier, dataset) -> None:
    app = opened("roles", classifier, dataset)
    fine(app.number_input(key="fewest").set_value(3).run())
    relation, head = app.selectbox(key="examples-relation"), app.selectbox(key="examples-head")
    name = relation.options[-1]
    fine(relation.set_value(name).run())
    fine(head.set_value("L1H3").run())
    assert app.session_state["role-cell"] == (name, (1, 3))
    assert f"L1H3 and {name}" in html(app)


def test_heads_are_selected_on_the_roles_page_by_name(classifier, dataset) -> None:
    app = opened("roles", classifier, dataset)
    fine(listed(app, "heads").set_value(["L0H2", "L1H1"]).run())
    assert session(app).selected == {HeadId(0, 2), HeadId(1, 1)}


def test_an_example_opens_on_the_sentence_page(classifier, dataset) -> None:
    app = opened("roles", classifier, dataset)
    fine(app.number_input(key="fewest").set_value(3).run())
    button = next(one for one in app.button if one.label == "Open")
    fine(button.click().run())
    sentence = session(app).sentence
    assert sentence == session(app).sentence_at(sentence.row, "calibration")
    assert app.segmented_control(key="sentence-from").value == "Calibration"
    assert app.selectbox(key="sentence-row").value == sentence.row


@pytest.fixture(scope="module")
def with_broad_head(tmp_path_factory) -> Classifier:
    """The tiny model with one head, L0H1, that asks nothing and so looks everywhere alike."""
    folder = save_tiny(tmp_path_factory.mktemp("broad"))
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    query = model.bert.encoder.layer[0].attention.self.query
    with torch.no_grad():
        query.weight[8:16], query.bias[8:16] = 0, 0
    model.save_pretrained(folder)
    return load_classifier(folder)


def test_a_scheme_names_what_nobody_carries_and_roles_are_found_anew(
    with_broad_head, dataset
) -> None:
    assert find_roles(with_broad_head, dataset).carriers()["broad"] == (HeadId(0, 1),)
    app = opened("roles", with_broad_head, dataset, "L0H1,L1H0", selected=frozenset([HeadId(0, 1)]))
    assert "Removed by the scheme. Broad: 100%, of " in html(app)
    assert "Carried by nobody now: Broad." in said(app)
    press(app, "Find the roles of the 6 kept heads anew")
    assert "Found anew under the scheme" in said(app)
    after = find_roles(with_broad_head, dataset, mask=HeadMask.parse("L0H1,L1H0", 2, 4))
    assert ("Carried by nobody now: Broad" in said(app)) is ("broad" not in after.carriers())


def test_words_that_were_cut_are_said(classifier, dataset) -> None:
    long = f"the film is good{' and long' * 20}"  # 44 words, of which 38 are read
    cut = replace(dataset, texts=(long, *dataset.texts[1:]))
    said_of = "6 words of 1 of the 12 calibration sentences have no token"
    assert said_of in said(opened("roles", classifier, cut))
    assert "no token" not in said(opened("roles", classifier, dataset))


def test_it_says_what_parsed_and_what_was_looked_for(classifier, dataset, tmp_path) -> None:
    app = opened("roles", classifier, dataset)
    found = find_roles(classifier, dataset)
    assert f"Parsed by {found.parsed.by}; looked for {len(found.looked_for)} relations" in said(app)
    folder = save_chain(tmp_path / "chain")
    app = opened("roles", classifier, dataset, parser=folder)
    fine(app.number_input(key="fewest").set_value(3).run())
    assert app.selectbox(key="role-relation").options == ["role", "any relation", "nsubj:pass"]
    assert "looked for 1 relation, found 1" in said(app)
    assert "whether it fits the text was not checked" in said(app)


def test_sentences_of_another_language_get_a_sentence_and_no_relation(classifier, dataset) -> None:
    # Of words half of which the tiny tokenizer knows: no page measures on sentences of others.
    german = replace(dataset, texts=("der film und das film ist film film .",) * len(dataset))
    app = opened("roles", classifier, german)
    (warning,) = [one.value for one in app.warning]
    assert "The sentences are plainly not English" in warning
    assert "choose a parser of that language under “Change model or data”" in warning
    assert "dependents here" not in said(app) and "Parsed by" not in said(app)
    some = replace(german, texts=(*dataset.texts[:-1], german.texts[0]))
    app = opened("roles", classifier, some)
    (warning,) = [one.value for one in app.warning]
    assert "1 of the 12 sentences is plainly not English" in warning
    assert "Parsed by" in said(app)


def test_a_parser_that_is_gone_is_a_sentence_with_the_way_out(classifier, dataset) -> None:
    for page in ("roles", "sentence"):
        data = Splits(dataset, dataset, "by hand")
        gone = Session(
            classifier.source, data, Scheme.of(classifier), parser="nb_core_news_nowhere"
        )
        app = open_app(gone, page)
        assert any("'nb_core_news_nowhere' is not installed" in box.value for box in app.error)
