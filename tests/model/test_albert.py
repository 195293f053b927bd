"""ALBERT, whose layers share their weights: heads are scored and masked, and nothing else.

On screen every page works, or says why it cannot.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from transformers import AlbertForSequenceClassification

from bhpvas.criteria import CRITERIA, score
from bhpvas.data.dataset import Splits
from bhpvas.errors import ModelError
from bhpvas.export import export_model
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.model.cost import flops_per_sentence, parameters, speed_bound
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads
from bhpvas.recovery import recover
from bhpvas.recovery.finetuning import TuningSettings, finetune
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import METHODS, propose
from bhpvas.ui.state.session import Session
from tests import reference
from tests.conftest import TEXTS, tiny_dataset
from tests.tiny import CONFIGS, many_sentences, save_tiny
from tests.ui.driver import open_app, said
from tests.ui.pages.test_sentence import fine, press

MASK = HeadMask.parse("L0H2,L1H0,L1H3", 2, 4)


@pytest.fixture(scope="module")
def albert(tmp_path_factory):
    return load_classifier(save_tiny(tmp_path_factory.mktemp("tiny-albert"), "albert"))


def test_a_mask_is_the_zeroed_weights_of_a_model_whose_layers_are_apart(albert):
    config = CONFIGS["albert"](2)
    config.num_hidden_groups = 2
    apart = AlbertForSequenceClassification(config).eval()
    weights = albert.model.state_dict()
    apart.load_state_dict(
        {name: weights[name.replace("groups.1.", "groups.0.")] for name in apart.state_dict()}
    )
    size = albert.geometry.head_size
    for number, group in enumerate(apart.albert.encoder.albert_layer_groups):
        removed = torch.from_numpy(np.repeat(~MASK.kept[number], size))
        group.albert_layers[0].attention.dense.weight.data[:, removed] = 0
    for text in TEXTS:
        with torch.no_grad():
            expected = apart(**reference.inputs_of(albert, text)).logits.numpy()
        found = predict(albert, albert.encode_texts([text]), MASK)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_criterion_tells_its_layers_apart(albert):
    found = score(albert, tiny_dataset(), tuple(CRITERIA), mask=MASK)
    for name, values in found.values.items():
        assert (np.isfinite(values) == MASK.kept).all(), name
        assert values[0, 1] != values[1, 1], name


def test_removal_saves_no_parameters(albert):
    assert parameters(albert.geometry, MASK) == albert.geometry.parameters
    assert albert.geometry.parameters == sum(one.numel() for one in albert.model.parameters())


def test_removal_saves_no_arithmetic(albert):
    """Heads that cannot leave the weights are computed and multiplied by zero."""
    whole, lengths = albert.full_mask(), [9, 30]
    assert flops_per_sentence(albert.geometry, MASK, lengths) == flops_per_sentence(
        albert.geometry, whole, lengths
    )
    apart = replace(albert.geometry, shared=False)
    assert flops_per_sentence(albert.geometry, whole, lengths) == flops_per_sentence(
        apart, whole, lengths
    )
    assert speed_bound(albert.geometry, MASK, lengths) == 1


@pytest.mark.parametrize("method", ["importance", "fisher"])
def test_heads_are_proposed_for_a_mask(albert, method):
    assert len(propose(albert, tiny_dataset(), method, heads=3).heads) == 3


REFUSED = {
    "surgery": lambda albert, data, out: remove_heads(albert, MASK),
    "compensation": lambda albert, data, out: recover(albert, data, MASK),
    "fine-tuning": lambda albert, data, out: finetune(albert, data, MASK, TuningSettings()),
    **{
        f"export as {format}": lambda albert, data, out, format=format: export_model(
            albert,
            Scheme.of(albert).removing(MASK.removed, "importance"),
            out,
            format,
            dataset=data,
        )
        for format in ("transformers", "dense", "onnx")
    },
    **{
        f"the method {name}": lambda albert, data, out, name=name: propose(
            albert, data, name, heads=3
        )
        for name, method in METHODS.items()
        if method.for_compensation
    },
}


def test_with_all_its_heads_it_is_exported(albert, tmp_path):
    found = export_model(albert, Scheme.of(albert), tmp_path / "out", dataset=tiny_dataset())
    assert load_classifier(found.folder).geometry == albert.geometry


@pytest.mark.parametrize("what", REFUSED)
def test_what_changes_weights_is_refused_in_one_sentence(albert, tmp_path, what):
    data = tiny_dataset()
    data = data.take(np.arange(2 * len(data)) % len(data))
    with pytest.raises(ModelError, match=r"^The layers of 'tiny-albert\d+' use the same weights"):
        REFUSED[what](albert, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- on screen ------------------------------------------------------------------------------------

SENTENCE = "use the same weights, as all of ALBERT do"


@pytest.fixture
def app(albert) -> AppTest:
    """The app on it, one head removed."""
    app = open_app(
        Session(
            model=albert.source,
            data=Splits(many_sentences(40), many_sentences(30, seed=1), "by hand"),
            scheme=Scheme.of(albert),
        )
    )
    press(app, "Select lowest 1")
    return press(app, "Remove 1 head")


@pytest.mark.parametrize("page", ["samples", "sentence", "roles", "learn"])
def test_a_page_works(app, page):
    fine(app.switch_page(f"pages/{page}.py").run())


def test_heads_can_be_proposed_and_taken_and_the_rest_says_why_not(app, albert):
    fine(app.switch_page("pages/schemes.py").run())
    for view, refused in {
        "Tree": False,
        "Propose": True,
        "Fine-tune": True,
        "Compare": False,
        "Evidence": False,
        "Shift": False,
    }.items():
        fine(app.segmented_control(key="view").set_value(view).run())
        assert (SENTENCE in said(app)) == refused, view
    fine(app.segmented_control(key="view").set_value("Propose").run())
    press(app, "Propose")
    press(app, "Take as a step")
    assert app.session_state["bhpvas"].scheme.step(2).method == "importance"


def test_export_says_why_there_is_none_and_still_reports(app):
    fine(app.switch_page("pages/export.py").run())
    assert SENTENCE in app.info[0].value
    press(app, "Make the report")
