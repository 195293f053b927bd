"""A smaller model that bhpvas exported, opened again: it does not show heads that it lacks.

Their places stay, so that a head keeps its name; nothing scores, proposes or restores them.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bhpvas.charts.head_map import head_map
from bhpvas.charts.kept_map import kept_map
from bhpvas.criteria import CRITERIA, removal_order, score
from bhpvas.data.dataset import Splits
from bhpvas.errors import BhpvasError, SchemeError
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.comparison import compare, random_mask
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import export_model
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.neurons import NeuronSet
from bhpvas.recovery import recover
from bhpvas.report import ReportSettings
from bhpvas.report.findings import measure
from bhpvas.report.sections.subject import section
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import METHODS, propose
from bhpvas.search.curves import measure_curve
from bhpvas.ui.pages.schemes.tasks import removals
from bhpvas.ui.state.session import Curves, Session
from tests.conftest import tiny_dataset
from tests.tiny import save_tiny

PRUNED = frozenset(parse_heads("L0H1,L0H2,L1H0"))
KEPT = HeadMask(2, 4, PRUNED)
NEURONS = NeuronSet.of_layers(2, 64, {0: range(0, 64, 2), 1: range(10)})
IS_PRUNED = np.array([[False, True, True, False], [True, False, False, False]])


@pytest.fixture(scope="module", params=[None, NEURONS], ids=["heads", "heads and neurons"])
def smaller(request, tmp_path_factory) -> Classifier:
    """A tiny model that really lacks three of its eight heads, or a third of its neurons, too."""
    folder = tmp_path_factory.mktemp("smaller")
    whole = load_classifier(save_tiny(folder / "model"))
    scheme = Scheme.of(whole).removing(PRUNED, neurons=request.param)
    export_model(whole, scheme, folder / "out", dataset=tiny_dataset())
    return load_classifier(folder / "out")


def test_a_mask_never_keeps_a_pruned_head():
    mask = HeadMask(2, 4, pruned=PRUNED)
    assert mask == KEPT and hash(mask) == hash(KEPT)
    assert mask.restored(PRUNED) == mask
    assert mask.without([HeadId(1, 3)]).restored(mask.every_head()) == mask
    assert mask.without([HeadId(1, 3)]).pruned == PRUNED
    assert KEPT.restored(PRUNED) == HeadMask(2, 4)


def test_no_criterion_scores_them_and_no_order_names_them(smaller):
    scores = score(smaller, tiny_dataset(), list(CRITERIA))
    for name, values in scores.values.items():
        np.testing.assert_array_equal(np.isnan(values), IS_PRUNED, err_msg=name)
        assert not PRUNED & set(removal_order(values, CRITERIA[name].higher_means))
    np.testing.assert_array_equal(np.isnan(ablate(smaller, tiny_dataset()).loss_change), IS_PRUNED)
    # Even a gate of 1 gives nothing back.
    (change,) = Estimate.from_scores(scores).loss_change(np.ones((1, 2, 4)))
    assert change == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_proposes_them(smaller, method):
    found = propose(smaller, tiny_dataset(), method, heads=5)
    assert set(found.heads) == set(KEPT)
    with pytest.raises(BhpvasError, match="6 heads cannot be removed: 5 of the 5 kept"):
        propose(smaller, tiny_dataset(), method, heads=6)


def test_there_is_nothing_to_make_up_for_until_a_head_is_removed(smaller):
    full = smaller.full_mask()
    assert full.masked == frozenset()
    with pytest.raises(BhpvasError, match="nothing to recover"):
        recover(smaller, tiny_dataset(), full)
    mask = full.without([HeadId(1, 3)])
    assert mask.masked == {HeadId(1, 3)}
    found = recover(smaller, tiny_dataset(), mask)
    assert [one.layer for one in found.layers] == [1]


def test_random_masks_to_compare_with_have_as_many_heads_of_those_there(smaller):
    full = smaller.full_mask()
    assert {random_mask(full, 2, seed).kept_count for seed in range(9)} == {3}
    mask = full.without([HeadId(0, 0)])
    table = compare(smaller, tiny_dataset(), {"one less": (smaller, mask)}, random=3)
    possible = {evaluate(smaller, tiny_dataset(), full.without([head])).accuracy for head in full}
    assert table["random_low"][0] != table["random_low"][0]  # nothing is removed from the start
    assert min(possible) <= table["random_median"][1] <= max(possible)


def test_a_scheme_starts_without_them_and_cannot_restore_them(smaller):
    scheme = Scheme.of(smaller)
    assert scheme.mask == smaller.full_mask() and scheme.mask.pruned == PRUNED
    with pytest.raises(SchemeError, match="nothing to restore"):
        scheme.restoring(PRUNED)
    with pytest.raises(SchemeError, match="nothing to remove"):
        scheme.removing(PRUNED)
    pruned = scheme.removing([HeadId(0, 0), HeadId(1, 1)])
    back = pruned.restoring([*PRUNED, HeadId(1, 1)])
    assert back.steps[-1].heads == (HeadId(1, 1),)
    again = Scheme.from_json(back.to_json())
    assert again == back and again.mask.pruned == PRUNED
    assert again.matches(smaller) is again


def test_a_scheme_file_that_says_otherwise_is_refused(smaller):
    document = json.loads(Scheme.of(smaller).removing([HeadId(0, 0)]).to_json())
    restoring = {
        **document["steps"][1], "id": 2, "parent": 1, "what": "restore", "heads": ["L0H1"],
    }  # fmt: skip
    with pytest.raises(SchemeError, match="cannot restore the heads"):
        Scheme.from_json(
            json.dumps(document | {"steps": [*document["steps"], restoring], "next_id": 3})
        )
    whole = Scheme.started(Scheme.of(smaller).model, 2, 4)
    with pytest.raises(SchemeError, match="lacks L0H1,L0H2,L1H0"):
        whole.matches(smaller)


def test_a_head_map_leaves_their_places_empty(smaller):
    mask = smaller.full_mask().without([HeadId(1, 3)])
    figure = head_map(np.arange(8.0).reshape(2, 4), mask)
    parts = {trace.name: trace for trace in figure.data}
    assert list(zip(parts["removed"].y, parts["removed"].x, strict=True)) == [(1, 3)]
    assert np.isfinite(np.array(parts["grey ground"].z, dtype=float)).sum() == 1
    said = dict(zip(map(str, mask.every_head()), parts["heads"].text, strict=True))
    assert said["L0H1"] == "<b>L0H1</b> not in this model"
    assert said["L1H3"] == "<b>L1H3</b> removed" and said["L1H2"] == "<b>L1H2</b> 6.00"
    figure = kept_map(mask, different=[HeadId(1, 3)])
    ground = np.array(figure.data[0].z, dtype=float)
    np.testing.assert_array_equal(np.isnan(ground), IS_PRUNED)
    assert figure.data[0].text[0][1] == "<b>L0H1</b> not in this model"
    assert sum(len(trace.x) for trace in figure.data[1:]) == 1


def test_nobody_selects_or_switches_them(smaller):
    data = tiny_dataset()
    session = Session("somewhere", Splits(data, data, "for this test"), Scheme.of(smaller))
    every = list(session.mask.every_head())
    for chosen in (session.choosing(every), session.toggling(every), session.ticking(every)):
        assert chosen.selected == set(KEPT) and chosen.selected_removed == ()
    assert session.toggling(every).toggling(every).selected == frozenset()
    assert session.switching(every).mask_here.kept_count == 0
    assert replace(session, switched=PRUNED).mask_here == session.mask


def test_a_curve_begins_with_the_model_as_it_is(smaller):
    data = tiny_dataset()
    curve = measure_curve(smaller, data, data, "importance", recovery="compensate", removed=[0, 2])
    assert curve.total == 5 and curve.frame()["kept"].tolist() == [5, 3]
    assert curve.headline[0] == evaluate(smaller, data).accuracy
    found = propose(smaller, data, "reconstruction", heads=3, max_drop=1)
    assert len(found.heads) == 3
    session = Session(smaller.source, Splits(data, data, "for this test"), Scheme.of(smaller))
    session = session.moved(session.scheme.removing([HeadId(0, 0)]))
    assert removals(session, Curves(("importance",), (None,), 2, 0)) == (0, 2, 4, 5)


def test_a_report_counts_only_the_heads_that_are_there(smaller, tmp_path):
    data = tiny_dataset()
    found = measure(
        smaller,
        Scheme.of(smaller),
        calibration=data,
        evaluation=data,
        weights=tmp_path,
        asked=ReportSettings(random=0),
    )
    said = str(section(found))
    heads = 5 * smaller.geometry.head_parameters / smaller.geometry.parameters
    assert f"{100 * heads:.1f}% of them in the heads" in said
