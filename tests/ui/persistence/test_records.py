"""A session as JSON comes back as it was."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import WorkspaceError
from bhpvas.heads import HeadId
from bhpvas.model.classifier import Classifier
from bhpvas.neurons import NeuronSet
from bhpvas.recovery.finetuning import TuningSettings
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.persistence.records import recorded, restored, untouched
from bhpvas.ui.state.session import Curves, FamilySearch, Opened, PendingStep, Search, Session
from tests.scheme.trees import MOVES, grown

HEADS = some.frozensets(some.builds(HeadId, some.integers(0, 1), some.integers(0, 3)))
SMALL = some.integers(0, 9)
WEIGHED = some.sampled_from([(), (("stability", 0.5, "remove"), ("importance", 1.0, "keep"))])
SEARCHES = some.builds(
    Search,
    some.just("combined"),
    SMALL,
    HEADS,
    SMALL,
    some.none() | some.just(0.01),
    SMALL,
    WEIGHED,
)
LEARNT = some.none() | some.sets(SMALL).map(LearntSentences.of)
WISHES = some.builds(
    PendingStep,
    some.sampled_from(["remove", "restore"]),
    HEADS.map(lambda heads: tuple(sorted(heads))),
    learnt_from=LEARNT,
    neurons=some.none()
    | some.sets(SMALL, min_size=1).map(lambda chosen: NeuronSet.of_layers(2, 10, {1: chosen})),
    then=some.none() | some.builds(PendingStep, some.just("recover"), learnt_from=LEARNT),
)
CURVES = some.builds(
    Curves,
    some.lists(some.sampled_from(["fisher", "random"])).map(tuple),
    some.lists(some.none() | some.just("compensate")).map(tuple),
    SMALL,
    SMALL,
    SMALL,
)
FAMILIES = some.builds(
    FamilySearch,
    some.lists(some.sampled_from(["flops=0.5", "parameters=0.9"])).map(tuple),
    some.just("shares"),
    some.just(("heads", "neurons")),
    some.none() | SMALL,
    HEADS,
    SMALL,
    SMALL,
)
CHOICES = some.fixed_dictionaries(
    {
        "selected": HEADS,
        "switched": HEADS,
        "heads_only": some.booleans(),
        "narrowing": some.booleans(),
        "widths": some.dictionaries(SMALL, SMALL).map(lambda one: tuple(sorted(one.items()))),
        "turned": HEADS,
        "picks": SMALL,
        "sentences": some.frozensets(some.integers(0, 11)),
        "split": some.sampled_from(["evaluation", "calibration"]),
        "opened": some.none() | some.builds(Opened, some.text(), some.none() | some.text(), SMALL),
        "search": some.none() | SEARCHES,
        "family": some.none() | FAMILIES,
        "target": some.none() | some.just("flops=0.5"),
        "pending": some.none() | WISHES,
        "curves": some.none() | CURVES,
        "recovering": some.none() | some.just("compensate"),
        "tuning": some.none() | some.just(TuningSettings(epochs=2.5)),
        "measuring": some.booleans(),
        "ablating": some.booleans(),
        "labelled": some.booleans(),
        "parser": some.none() | some.just("fr_core_news_sm"),
    }
)


@given(moves=MOVES, choices=CHOICES, cut=some.lists(some.integers(0, 7), max_size=3))
def test_what_is_recorded_comes_back(
    classifier: Classifier,
    dataset: Dataset,
    moves: list[tuple[str, int]],
    choices: dict[str, Any],
    cut: list[int],
) -> None:
    data = Splits(dataset, dataset, "by hand")
    session = Session(model="tiny", data=data, scheme=grown(Scheme.of(classifier), moves))
    for number in cut:
        if len(steps := session.scheme.steps) > 1:
            session = session.deleting(steps[1 + number % (len(steps) - 1)].id)
    session = replace(session, **choices)
    record = recorded(session)
    back = restored(json.loads(json.dumps(record)), data)
    assert back == session
    assert recorded(back) == record
    while session.deleted:
        session, back = session.putting_back(), back.putting_back()
    assert back.scheme == session.scheme


def test_a_search_of_before_weights_were_part_of_it_comes_back(fresh: Session) -> None:
    session = replace(fresh, search=Search("combined", 2))
    record = recorded(session)
    del record["search"]["weighed"]
    assert restored(record, fresh.data) == session


def test_whatever_a_session_holds_is_recorded_or_left_out_on_purpose(fresh: Session) -> None:
    left_out = {"data", "scored", "timing", "exporting", "reporting", "cancelled"}
    left_out |= {"dialog", "error", "notice", "measuring_family"}
    kept = (set(recorded(fresh)) - {"wish", "cuts"}) | {"pending", "deleted"}
    assert {field.name for field in fields(Session)} == left_out | kept


@pytest.fixture
def fresh(classifier: Classifier, dataset: Dataset) -> Session:
    return Session("tiny", Splits(dataset, dataset, "by hand"), Scheme.of(classifier))


def test_measuring_touches_nothing(fresh: Session) -> None:
    assert untouched(fresh.measured({"accuracy": 0.5}, 0), fresh)
    assert untouched(fresh.choosing([HeadId(0, 1)]).choosing(()), fresh)
    assert untouched(replace(fresh, error="what went wrong", scored=fresh.now, dialog=True), fresh)


@pytest.mark.parametrize(
    "touch",
    [
        lambda session: session.choosing([HeadId(0, 1)]),
        lambda session: session.naming("mine"),
        lambda session: session.noting(0, "why"),
        lambda session: session.looking_at("calibration"),
        lambda session: replace(session, parser="en_core_web_sm"),
        lambda session: session.opening_sentence(3),
        lambda session: session.moved(session.scheme.removing([HeadId(0, 1)])),
        lambda session: replace(session, data=replace(session.data)),
    ],
)
def test_whatever_a_person_did_touches(fresh: Session, touch: Any) -> None:
    assert not untouched(touch(fresh), fresh)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("scheme"),
        lambda record: record.pop("selected"),
        lambda record: record.update(selected="L9"),
        lambda record: record.update(selected=3),
        lambda record: record.update(search={"method": "fisher", "beyond": 1}),
        lambda record: record.update(scheme={"format": {"name": "bhpvas-scheme", "version": 99}}),
    ],
)
def test_a_record_of_another_version_is_a_sentence(fresh: Session, change: Any) -> None:
    record = recorded(fresh)
    change(record)
    with pytest.raises(WorkspaceError, match="another version"):
        restored(record, fresh.data)
