"""Exports in other people's environments: transformers 4.57, the newest, and ONNX Runtime alone.

What loads them is a script without a line of bhpvas, in processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.export import Exported, export_model
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.scheme import Scheme
from tests.conftest import tiny_dataset
from tests.export.test_writing import recovered_by
from tests.model.folders import change_json
from tests.tiny import save_tiny

pytestmark = pytest.mark.slow

OLDER = "transformers==4.57.*"
LOADER = Path(__file__).resolve().parents[2] / "scripts" / "load_export.py"

EMPTY = "L0H0,L0H1,L0H2,L0H3,L1H2"
#: Family, removed heads, how the weights were recovered, number type.
CASES = {
    "uneven heads": ("bert", "L0H1,L0H2,L1H0", None, "float32"),
    "an empty layer": ("bert", EMPTY, None, "float32"),
    "no head at all": ("bert", ",".join(map(str, HeadMask(2, 4).every_head())), None, "float32"),
    "compensated": ("bert", EMPTY, "compensate", "float32"),
    "fine-tuned": ("bert", EMPTY, "finetune", "float32"),
    "bfloat16": ("bert", EMPTY, "compensate", "bfloat16"),
    "roberta": ("roberta", EMPTY, None, "float32"),
    "electra": ("electra", EMPTY, None, "float32"),
    "distilbert": ("distilbert", EMPTY, None, "float32"),
    "mpnet": ("mpnet", EMPTY, "compensate", "float32"),
    "some heads of mpnet": ("mpnet", "L0H1,L0H2,L1H0", "finetune", "float32"),
    "deberta": ("deberta-v2", EMPTY, "compensate", "float32"),
    "some heads of deberta": ("deberta-v2", "L0H1,L0H2,L1H0", "finetune", "float32"),
    "further special tokens": ("bert", "L0H1", None, "float32"),
    "albert": ("albert", "L0-1H2", "compensate", "float32"),
    "no head of albert": ("albert", "L0-1H0,L0-1H1,L0-1H2,L0-1H3", None, "float32"),
}
#: Feed-forward neurons that are removed beside heads, by case, of 64.
NEURONS = {
    "neurons": NeuronSet.of_layers(2, 64, {0: range(0, 64, 3), 1: [5]}),
    "heads and neurons": NeuronSet.of_layers(2, 64, {0: range(9), 1: range(1, 64)}),
    "a layer without neurons": NeuronSet.of_layers(2, 64, {0: range(64), 1: range(40)}),
    "no neuron at all": NeuronSet.of_layers(2, 64, {0: range(64), 1: range(64)}),
    "narrower roberta": NeuronSet.of_layers(2, 64, {0: range(64), 1: range(40)}),
    "narrower electra": NeuronSet.of_layers(2, 64, {0: range(64), 1: range(40)}),
    "narrower distilbert": NeuronSet.of_layers(2, 64, {0: range(64), 1: range(40)}),
    "narrower mpnet": NeuronSet.of_layers(2, 64, {0: range(64), 1: range(40)}),
    "narrower albert": NeuronSet.of_layers(2, 64, {0: range(40), 1: range(40)}),
}
CASES |= {
    "neurons": ("bert", "", "compensate", "float32"),
    "heads and neurons": ("bert", EMPTY, "finetune", "float32"),
    "a layer without neurons": ("bert", "L0H1,L1H0", None, "bfloat16"),
    "no neuron at all": ("bert", "L1H2", None, "float32"),
    "narrower roberta": ("roberta", EMPTY, None, "float32"),
    "narrower electra": ("electra", EMPTY, None, "float32"),
    "narrower distilbert": ("distilbert", EMPTY, None, "float32"),
    "narrower mpnet": ("mpnet", EMPTY, None, "float32"),
    "narrower albert": ("albert", "L0-1H3", None, "float32"),
}
#: Those that no version of transformers loads by itself.
WITH_CODE = (
    *NEURONS,
    "mpnet",
    "some heads of mpnet",
    "deberta",
    "some heads of deberta",
)
BESIDE = ("heads and neurons", "no neuron at all")
CLASSES = {
    "bert": "Bert",
    "roberta": "Roberta",
    "electra": "Electra",
    "distilbert": "DistilBert",
    "mpnet": "MPNet",
    "albert": "Albert",
    "deberta-v2": "DebertaV2",
}


class Made(NamedTuple):
    """An export, and the masked model as the app measures it."""

    found: Exported
    masked: Evaluation


def make(folder: Path, case: str, format: str) -> Made:
    family, heads, recovery, dtype = CASES[case]
    model = save_tiny(folder / "model", family)
    if case == "further special tokens":
        change_json(model, "tokenizer_config.json", extra_special_tokens=["good"])
    classifier = load_classifier(model, dtype=dtype)
    dataset = tiny_dataset()
    scheme = Scheme.of(classifier).removing(parse_heads(heads), neurons=NEURONS.get(case))
    if recovery is not None:
        weights = recovered_by(recovery, classifier, scheme.mask)
        weights.save(folder)
        scheme = scheme.recovered(weights.fingerprint, recovery)
    found = export_model(
        classifier, scheme, folder / "out", format, dataset=dataset, weights=folder
    )
    return Made(found, evaluate(scheme.on(classifier, folder), dataset, scheme.mask))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, dict[str, Made]]:
    """Every export that can be made here, by format and case."""
    cases = {
        "transformers": tuple(CASES),
        "dense": (
            "an empty layer",
            "compensated",
            "fine-tuned",
            "bfloat16",
            "distilbert",
            "mpnet",
            *BESIDE,
        ),
        "onnx": ("uneven heads", "an empty layer", "compensated", "fine-tuned", "mpnet", *BESIDE),
    }
    return {
        format: {case: make(tmp_path_factory.mktemp(format), case, format) for case in names}
        for format, names in cases.items()
    }


@pytest.fixture(scope="session")
def pythons(tmp_path_factory) -> dict[str, str]:
    """A Python by the version of its transformers: this one's, and one with 4.57.

    The older one is installed into an environment of its own, which takes all else from here, and
    compiled where it is imported: most of it never is.
    """
    folder = tmp_path_factory.mktemp("transformers-4.57")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile", OLDER],
        check=True,
    )
    own = sysconfig.get_path("purelib", vars={"base": str(folder)})
    shared = [path for path in sys.path if path.endswith("site-packages")]
    Path(own, "shared.pth").write_text("\n".join(shared))
    return {"4.57": str(python), "5": sys.executable}


def run(python: str, trust: bool, exports: dict[str, Made], work: Path) -> dict:
    """What the loader prints for each export, run where nothing of this checkout is in reach."""
    dataset = tiny_dataset()
    (work / "data.json").write_text(json.dumps([dataset.texts, dataset.labels.tolist()]))
    folders = [str(one.found.folder) for one in exports.values()]
    done = subprocess.run(
        [python, "-I", str(LOADER), "data.json", "trust" if trust else "plain", *folders],
        cwd=work,
        env=os.environ | {"HF_MODULES_CACHE": str(work), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(exports, map(json.loads, done.stdout.splitlines()), strict=True))


def agrees(answered: dict[str, Any], made: Made) -> None:
    """Whether a script found what the export measured and what the app shows."""
    assert answered["ours"] == []
    if answered.get("dtype") == "torch.bfloat16":
        # Its steps are 1/128 of a number, so that the order of a sum shows.
        np.testing.assert_allclose(answered["logits"], made.masked.logits, atol=0.1, rtol=0.05)
        return
    np.testing.assert_allclose(answered["logits"], made.found.after.logits, atol=1e-5)
    assert answered["accuracy"] == made.found.after.accuracy == made.masked.accuracy


@pytest.mark.parametrize(("version", "trust"), [("4.57", False), ("4.57", True), ("5", True)])
def test_a_smaller_model_loads_in_both_versions(made, pythons, tmp_path, version, trust):
    exports = made["transformers"]
    if not trust:
        exports = {case: one for case, one in exports.items() if case not in WITH_CODE}
    for case, answered in run(pythons[version], trust, exports, tmp_path).items():
        found = exports[case].found
        agrees(answered, exports[case])
        assert answered["report"] == {}
        family = CLASSES[CASES[case][0]]
        assert answered["class"] == f"{'Pruned' * trust}{family}ForSequenceClassification"
        # Version 4 loads as float32 unless it is told otherwise, and runs one head of zeros in a
        # layer that has none, where it loads by itself.
        half = CASES[case][3] == "bfloat16" and version == "5"
        assert answered["dtype"] == ("torch.bfloat16" if half else "torch.float32")
        itself = version == "4.57" and family not in ("MPNet", "DebertaV2")
        zeros = found.mask.kept_per_layer.count(0) if itself else 0
        if family == "Albert":  # both layers have the same weights
            zeros //= 2
        assert answered["parameters"] == found.parameters + zeros * (4 * 32 * 8 + 3 * 8)


@pytest.mark.parametrize("version", ["4.57", "5"])
def test_a_dense_model_loads_plainly_in_both_versions(made, pythons, tmp_path, version):
    exports = made["dense"]
    for case, answered in run(pythons[version], False, exports, tmp_path).items():
        agrees(answered, exports[case])
        assert answered["report"] == {}
        assert answered["parameters"] == exports[case].found.parameters


def test_a_graph_needs_neither_torch_nor_transformers(made, tmp_path):
    exports = made["onnx"]
    for case, answered in run(sys.executable, False, exports, tmp_path).items():
        agrees(answered, exports[case])


@pytest.mark.parametrize(
    ("version", "case"),
    [("5", "uneven heads"), ("5", "neurons"), ("4.57", "neurons"), ("4.57", "some heads of mpnet")],
)
def test_without_the_modelling_file_transformers_refuses_instead_of_guessing(
    made, pythons, tmp_path, version, case
):
    exports = {case: made["transformers"][case]}
    with pytest.raises(AssertionError, match="mismatch"):
        run(pythons[version], False, exports, tmp_path)
