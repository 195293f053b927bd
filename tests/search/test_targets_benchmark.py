"""The benchmark of searches to a share of the FLOPs: of a model that is named, with its memory."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pandas as pd
import pytest

from benchmarks import targets
from benchmarks.memory import watched_memory
from tests.tiny import many_sentences, save_tiny


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux says what is anonymous.")
def test_memory_is_watched_while_a_job_lasts():
    with watched_memory() as found:
        held = np.ones(25_000_000)  # 0.2 GB
        before = len(found)
        while len(found) < before + 2:
            time.sleep(0.05)
    assert max(found) - found[0] > 0.9 * held.nbytes / 1e9


def test_a_store_keeps_apart_what_was_measured_of_two_models(tmp_path, monkeypatch, capsys):
    data = many_sentences(40)
    names = [data.label_names[label] for label in data.labels]
    pd.DataFrame({"sentence": data.texts, "label": names}).to_csv(tmp_path / "data.csv")
    models = [str(save_tiny(tmp_path / f"model-{seed}", seed=seed)) for seed in (0, 1)]
    store = tmp_path / "found.jsonl"

    def measured(model: str) -> str:
        path = str(tmp_path / "data.csv")
        arguments = [path, path, "--model", model, "--store", str(store), "--sentences", "20"]
        arguments += ["--methods", "magnitude", "--reductions", "1.5", "2", "--seeds", "0"]
        monkeypatch.setattr(sys, "argv", ["targets", *arguments])
        targets.main()
        return capsys.readouterr().out

    said = [measured(model) for model in models]
    rows = [json.loads(line) for line in store.read_text().splitlines()]
    assert [row["model"] for row in rows] == [models[0]] * 2 + [models[1]] * 2
    for mine, text in zip((rows[:2], rows[2:]), said, strict=True):
        for row in mine:
            assert f"{row['lost']:.2f} ({row['lost']:.2f} … {row['lost']:.2f})" in text
            assert row["seconds"] > 0
        memory = f"at most {mine[0]['memory']:.2f} GB, of which {mine[0]['memory_before']:.2f}"
        assert memory in text
    whole = len(store.read_text())
    assert measured(models[0]).splitlines()[0] == said[0].splitlines()[0]
    assert len(store.read_text()) == whole  # nothing was computed again
