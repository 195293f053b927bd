"""A target on the view Propose, without a browser: what is shown and taken is the library's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas import text
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.comparison import divergences
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import export_model
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.weights import weights_file
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import Constraints
from bhpvas.search.budget import Target
from bhpvas.search.family import Member, family_targets
from bhpvas.search.target import Narrowed, narrow_to
from bhpvas.ui.jobs import models
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.pages.schemes import family_tasks
from bhpvas.ui.pages.schemes.family import label
from bhpvas.ui.state.session import FamilySearch, Session, Variant
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import fine, open_app, press, said, session

CALIBRATION, EVALUATION = many_sentences(40, seed=2), many_sentences(30, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-narrowing"), seed=7)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture(scope="module")
def expected(tiny: Classifier) -> dict[str, Narrowed]:
    """What the library finds for the targets that the page asks for, by the target."""
    lengths = tiny.encode(CALIBRATION).lengths
    targets = [Target.parse(str(one)) for one in family_targets(tiny, "flops", lengths)]
    return {str(one.target): one for one in narrow_to(tiny, CALIBRATION, targets)}


@pytest.fixture
def started(folder: Path, tiny: Classifier) -> Session:
    data = Splits(CALIBRATION, EVALUATION, "by hand")
    return Session(model=str(folder), data=data, scheme=Scheme.of(tiny))


def opened(at: Session, **state: Any) -> AppTest:
    return open_app(at, "schemes", view="Propose", **state)


def searched(at: Session, target: str) -> AppTest:
    """The family, looked at for one of its targets."""
    app = opened(at)
    fine(app.segmented_control(key="target-flops").set_value(target).run())
    return fine(app.button(key="narrow").click().run())


def tables(app: AppTest) -> str:
    return "".join(html.value for html in app.html)


def test_a_family_is_that_of_the_library(
    started: Session, tiny: Classifier, expected: dict[str, Narrowed]
) -> None:
    app = opened(started)
    assert list(app.segmented_control(key="target-flops").options) == [
        "÷ 1.5", "÷ 2", "÷ 2.5", "÷ 3", "÷ 4", "÷ 5",
    ]  # fmt: skip
    assert session(app).family is None  # nothing starts by itself
    app = searched(started, "flops=0.333333")
    one, shown = expected["flops=0.333333"], tables(app)
    assert f"÷ 3: {text.kept(one.mask)} stay" in shown
    assert f"its answers are {text.number(one.divergence)} nats (KL)" in said(app)
    assert "on the 40 calibration sentences that it learnt from" in said(app)
    for other in expected.values():
        assert f'<td class="name">{label(other.target)}</td>' in shown
        assert f"{text.number(other.divergence)}</td>" in shown
        assert f"{text.percent(other.cost)}%" in shown
    for layer, alone in enumerate(one.alone):
        assert f'<td class="name">L{layer}</td>' in shown
        assert f"<td>{text.number(alone)}</td>" in shown
        assert f"move by {text.nats(alone)} nats" in one.reasons[layer]
    assert len(session(app).scheme.steps) == 1  # nothing is removed


def test_what_is_shown_of_one_is_what_its_model_answers(
    tiny: Classifier, expected: dict[str, Narrowed]
) -> None:
    before = evaluate(tiny, CALIBRATION)
    for one in expected.values():
        after = evaluate(tiny.with_weights(one.recovered.weights), CALIBRATION, one.mask)
        assert divergences(before, after).mean() == pytest.approx(one.divergence, abs=1e-5)


def test_one_is_taken_as_two_measured_steps_from_the_start(
    started: Session, tiny: Classifier, expected: dict[str, Narrowed]
) -> None:
    branched = started.moved(started.scheme.removing(parse_heads("L0H1")))
    app = searched(branched, "flops=0.5")
    assert "it begins a branch at the start; your steps stay in the tree." in said(app)
    press(app, "Take ÷ 2 as two steps")
    one, scheme = expected["flops=0.5"], session(app).scheme
    assert [(step.what, step.parent) for step in scheme.steps] == [
        ("start", None),
        ("remove", 0),
        ("remove", 0),
        ("recover", 2),
    ]
    _, _, removed, fitted = scheme.steps
    assert (scheme.current, scheme.mask) == (3, one.mask)
    assert (removed.method, removed.seed) == ("shares", 0)
    assert removed.settings["target"] == "flops=0.5"
    assert removed.settings["reasons"] == list(one.reasons)
    assert fitted.weights == one.recovered.weights.fingerprint
    assert fitted.settings["feed_forward"] and fitted.settings["held_out"] > 0
    assert removed.learnt_from == fitted.learnt_from == one.learnt_from
    masked = evaluate(tiny, EVALUATION, one.mask)
    whole = evaluate(tiny.with_weights(one.recovered.weights), EVALUATION, one.mask)
    assert removed.metrics["accuracy"] == masked.accuracy
    assert fitted.metrics["accuracy"] == whole.accuracy
    assert fitted.metrics["loss"] == pytest.approx(whole.loss, abs=1e-6)
    assert "÷ 2 is the current step, 3." in said(app)
    # Another point of the same family begins another branch; the first is found again.
    fine(app.segmented_control(key="target-flops").set_value("flops=0.25").run())
    press(app, "Take ÷ 4 as two steps")
    assert [step.parent for step in session(app).scheme.steps] == [None, 0, 0, 2, 0, 4]
    fine(app.segmented_control(key="target-flops").set_value("flops=0.5").run())
    press(app, "Go to step 3")
    assert session(app).now == Variant(one.mask, fitted.weights)


def test_the_family_is_measured_on_request(
    started: Session, tiny: Classifier, expected: dict[str, Narrowed]
) -> None:
    fresh = many_sentences(30, seed=4)  # on which no other test measures
    data = Splits(CALIBRATION, fresh, "by hand")
    app = searched(replace(started, data=data), "flops=0.5")
    assert tables(app).count(text.NOTHING) == len(expected)
    press(app, "Measure 6 models on the evaluation split")
    shown = tables(app)
    unpruned = evaluate(tiny, fresh)
    for one in expected.values():
        found = evaluate(tiny.with_weights(one.recovered.weights), fresh, one.mask)
        assert (
            f"{text.percent(found.accuracy)}%<small>{text.interval(*found.accuracy_interval)}"
            in shown
        )
        if str(one.target) == "flops=0.5":
            change = text.signed(100 * (found.accuracy - unpruned.accuracy))
            assert f"accuracy {text.percent(found.accuracy)}%, {change} points" in said(app)
    assert "measure-family" not in [one.key for one in app.button]
    fine(app.segmented_control(key="lost-by").set_value("Accuracy").run())
    assert "On 30 evaluation sentences, with 95% intervals" in said(app)
    assert len(session(app).scheme.steps) == 1


def test_another_share_joins_the_family(started: Session) -> None:
    app = opened(started)
    fine(app.number_input(key="other-flops").set_value(45.0).run())
    assert app.segmented_control(key="target-flops").value == "flops=0.45"
    fine(app.button(key="narrow").click().run())
    assert session(app).target == "flops=0.45" and len(session(app).family.targets) == 7
    assert "45%: " in tables(app)


def test_units_and_what_must_stay_are_kept_to(started: Session, tiny: Classifier) -> None:
    app = opened(started)
    app.selectbox(key="units").set_value("Heads and neurons")
    app.selectbox(key="multiple-of").set_value(16)
    app.multiselect(key="protected").set_value(["L0H1", "L1H2"])
    fine(app.number_input(key="least").set_value(1).run())
    fine(app.segmented_control(key="target-flops").set_value("flops=0.333333").run())
    fine(app.button(key="narrow").click().run())
    asked = session(app).family
    constraints = Constraints(frozenset(parse_heads("L0H1,L1H2")), 1)
    (one,) = narrow_to(
        tiny, CALIBRATION, [Target("flops", 0.333333)], multiple_of=16, constraints=constraints
    )
    family = family_tasks.searching(session(app), asked).work(Job())
    (same,) = [member for member in family if member.target == one.target]
    assert same == Member.of(one)
    assert not {*parse_heads("L0H1,L1H2")} & same.mask.removed
    assert all(count % 16 == 0 for count in same.mask.neurons.counts)


def test_parameters_are_shares_that_can_be_reached(started: Session, tiny: Classifier) -> None:
    app = opened(started, **{"how-small": "parameters"})
    for target in app.segmented_control(key="target-parameters").options:
        assert target.startswith("÷") or target.endswith("%")
    fine(app.button(key="narrow").click().run())
    narrowing = session(app).family
    assert [one.partition("=")[0] for one in narrowing.targets] == ["parameters"] * len(
        narrowing.targets
    )
    family = family_tasks.searching(session(app), narrowing).work(Job())
    for one in family:
        assert one.cost <= one.target.share
    # The other measure has nothing to show yet.
    fine(app.segmented_control(key="how-small").set_value("flops").run())
    assert "Nothing searched yet" in tables(app)


def test_a_page_opened_anew_asks_as_its_family_was_asked_for(started: Session) -> None:
    targets, protected = ("flops=0.5", "flops=0.25"), frozenset(parse_heads("L0H1"))
    asked = FamilySearch(targets, "magnitude", ("neurons",), 8, protected, 1, 4)
    app = opened(started.searching_family(asked, "flops=0.25"))
    assert app.selectbox(key="target-method").value == "magnitude"
    assert app.selectbox(key="units").value == "Neurons"
    assert app.selectbox(key="multiple-of").value == 8
    assert app.multiselect(key="protected").value == ["L0H1"]
    assert app.number_input(key="least").value == 1
    assert app.number_input(key="search-seed").value == 4


def test_milliseconds_are_those_of_this_machine(started: Session) -> None:
    app = opened(started, **{"how-small": "latency", "target-batch": 2, "target-length": 8})
    assert "The time of 2 sentences of 8 tokens in PyTorch, on this machine." in said(app)
    target = "latency=0.9,engine=torch,batch=2,length=8"
    asked = FamilySearch((target,), "magnitude", ("heads", "neurons"))
    app = opened(started.searching_family(asked, target), **{"how-small": "latency"})
    (one,) = family_tasks.tasks.known(family_tasks.searching(started, asked))
    timed = one.milliseconds
    assert timed.timing.batch == 2
    assert f"{timed.measured.value:.1f}<small>predicted {timed.predicted:.1f}" in tables(app)
    assert text.verbatim(timed.line()) in said(app)
    assert app.number_input(key="target-batch").value == 2
    assert "Take 90% as a step" in [one.label for one in app.button]  # weights stay as they are


def test_a_step_of_its_own_is_placed_on_the_curve_of_times_by_the_table(started: Session) -> None:
    target = "latency=0.9,engine=torch,batch=2,length=8"
    asked = FamilySearch((target,), "magnitude", ("heads", "neurons"))
    narrow = NeuronSet.of_layers(2, 64, {0: range(16), 1: range(64)})
    by_hand = started.moved(started.scheme.removing(parse_heads("L0H1,L1H0"), neurons=narrow))
    app = opened(by_hand.searching_family(asked, target), **{"how-small": "latency"})
    timing = Target.parse(target).timing
    table = family_tasks.tasks.known(family_tasks.timing_parts(session(app), timing))
    parts = [(0, "heads", 3), (1, "heads", 3), (0, "neurons", 48), (1, "neurons", 0)]
    seconds = table.rest + sum(table.price(*part[:2], [part[2]])[0] for part in parts)
    (chart,) = [one for one in app.get("plotly_chart") if one.key == "family-chart"]
    (step,) = [one for one in json.loads(chart.spec)["data"] if one["name"] == "current scheme"]
    assert step["x"] == pytest.approx([100 * seconds / table.whole])


@pytest.mark.parametrize("measure", ["flops", "parameters", "latency"])
def test_where_nothing_may_go_that_is_said(started: Session, measure: str) -> None:
    app = opened(started, **{"how-small": measure, "units": "Heads", "least": 4})
    assert "Nothing may go as the settings are" in said(app)
    assert "narrow" not in [one.key for one in app.button]
    fine(app.number_input(key="least").set_value(0).run())
    assert app.button(key="narrow")


def test_a_typed_time_is_a_target(started: Session) -> None:
    app = opened(started, **{"how-small": "latency", "target-batch": 2, "target-length": 8})
    fine(app.number_input(key="other-latency").set_value(12.0).run())
    target = app.segmented_control(key="target-latency").value
    assert target == "latency=12ms,engine=torch,batch=2,length=8"
    assert label(Target.parse(target)) == "12 ms"


class Forbidden:
    """A data set that nobody may look into."""

    fingerprint = "forbidden"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the evaluation split's {name} was read")


def test_a_search_never_reads_the_evaluation_split(started: Session) -> None:
    blind = replace(started, data=replace(started.data, evaluation=cast(Dataset, Forbidden())))
    asked = FamilySearch(("flops=0.5",), "shares", ("heads", "neurons"))
    (found,) = family_tasks.searching(blind, asked).work(Job())
    assert found.cost <= 0.5


def test_a_family_whose_weights_are_lost_is_searched_again(started: Session) -> None:
    app = searched(started, "flops=0.5")
    asked = session(app).family
    family = family_tasks.tasks.known(family_tasks.searching(started, asked))
    file = weights_file(models.weights_folder(), family[0].weights)
    file.unlink()
    assert family_tasks.tasks.known(family_tasks.searching(started, asked)) is None
    fine(app.run())
    assert file.exists()


def test_a_smaller_model_says_that_it_cannot_be_narrowed_further(
    started: Session, tiny: Classifier, tmp_path: Path
) -> None:
    scheme = started.scheme.removing(parse_heads("L0H1"))
    export_model(tiny, scheme, tmp_path / "smaller", "transformers", dataset=EVALUATION)
    smaller = load_classifier(tmp_path / "smaller")
    exported = Session(model=smaller.source, data=started.data, scheme=Scheme.of(smaller))
    app = opened(exported)
    assert "open the model that it was made from" in said(app)
    assert app.segmented_control(key="how-small").options == ["Heads"]
    assert app.button(key="propose")
