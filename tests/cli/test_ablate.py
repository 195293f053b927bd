"""`bhpvas ablate`: its JSON keys and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.cli.main import main
from bhpvas.data.reading import read_dataset
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.widths import ablate_widths
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from tests.cli.conftest import run
from tests.tiny import save_tiny


def test_ablate(capsys, files):
    found = run(capsys, "ablate", "--model", files[0], "--data", files[1])
    expected = ablate(load_classifier(files[0]), read_dataset(files[1]))
    np.testing.assert_allclose(found["loss_change"], expected.loss_change, atol=1e-6)
    np.testing.assert_allclose(found["accuracy_change"], expected.headline_change, atol=1e-9)
    assert found["baseline"]["accuracy"] == expected.baseline.accuracy


def test_a_head_in_all_layers_that_share_it(capsys, files, tmp_path):
    albert = save_tiny(tmp_path, "albert")
    more = ["--model", str(albert), "--data", files[1], "--remove", "L0-1H2,L1H0"]
    expected = ablate(
        load_classifier(albert), read_dataset(files[1]), HeadMask.parse("L0H2,L1H2,L1H0", 2, 4)
    )
    (group,) = run(capsys, "ablate", *more)["groups"]
    assert group["layers"] == [0, 1] and group["loss_change"][2] is None
    changes = [one for one in group["loss_change"] if one is not None]
    np.testing.assert_allclose(changes, expected.group_loss_change[0, [0, 1, 3]], atol=1e-6)
    assert main(["ablate", *more]) == 0
    said = capsys.readouterr().out
    assert "of a head in all of layers 0 to 1 at once" in said
    assert f"L0-1H0    {changes[0]:+.4f}" in said and "L0-1H2    removed" in said
    assert "groups" not in run(capsys, "ablate", "--model", files[0], "--data", files[1])


@pytest.mark.parametrize("units", ["neurons", "heads,neurons"])
def test_widths_of_every_layer(capsys, files, units):
    more = ["--model", files[0], "--data", files[1], "--remove", "L1H2"]
    found = run(capsys, "ablate", *more, "--units", units, "--by", "importance")
    mask = HeadMask.parse("L1H2", 2, 4)
    expected = ablate_widths(
        load_classifier(files[0]), read_dataset(files[1]), mask, by="importance"
    )
    assert [one["kept"] for one in found["widths"]] == [[64, 56, 48, 40, 32, 24, 16, 8, 0]] * 2
    assert found["widths_by"] == "importance" and found["removed_heads"] == ["L1H2"]
    assert found["baseline"]["loss"] == expected.baseline.loss
    for layer, one in enumerate(found["widths"]):
        np.testing.assert_allclose(one["loss_change"], expected.loss_change[layer], atol=1e-9)
        changes = expected.headline_change[layer]
        np.testing.assert_allclose(one["accuracy_change"], changes, atol=1e-9)
    assert ("loss_change" in found) == ("heads" in units)


def test_what_a_person_reads_of_widths(capsys, files):
    more = ["--model", files[0], "--data", files[1], "--units", "neurons"]
    widths = run(capsys, "ablate", *more)["widths"]
    assert main(["ablate", *more]) == 0
    said = capsys.readouterr().out
    assert "those lowest by Fisher information gone" in said and "one more head" not in said
    top, bottom = (line for line in said.splitlines() if line.startswith("L"))
    for line, one in ((top, widths[1]), (bottom, widths[0])):
        assert line.count(": ") == len(one["kept"])
        assert line.endswith(
            f"0: {one['loss_change'][-1]:+.4f} ({100 * one['accuracy_change'][-1]:+.1f})"
        )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--units", "words"], "'words' is no unit to measure; choose from heads, neurons."),
        (["--by", "fisher"], "--by says in which order neurons leave: add --units neurons."),
        (["--units", "neurons", "--by", "magic"], "'magic' is no criterion of neurons; choose"),
    ],
)
def test_what_cannot_be_ablated_is_refused_before_anything_is_loaded(capsys, more, said):
    assert main(["ablate", "--model", "./nowhere", *more]) == 2
    assert said in capsys.readouterr().err
