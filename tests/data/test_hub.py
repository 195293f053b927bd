"""Data sets of the hub: ids, their parts and labels, and one sentence when it does not answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import datasets
import huggingface_hub
import numpy as np
import pytest

from bhpvas.cli import main
from bhpvas.criteria import score
from bhpvas.data.hub import HubId, load_parts
from bhpvas.data.reading import read_dataset, read_splits
from bhpvas.errors import DataError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import load_classifier
from tests.conftest import TEXTS
from tests.tiny import save_tiny

SENTIMENT = datasets.Features(
    {
        "idx": datasets.Value("int32"),
        "sentence": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["negative", "positive"]),
    }
)


def part(
    labels: list, features: datasets.Features | None = SENTIMENT, noun: str = "sentence"
) -> datasets.Dataset:
    rows = {
        "idx": list(range(len(labels))),
        "sentence": [f"{noun} {index}" for index in range(len(labels))],
        "label": labels,
    }
    return datasets.Dataset.from_dict(rows, features=features)


class Hub:
    """Stands in for the hub: notes what is asked for and answers with the parts it was given."""

    def __init__(self, **parts: datasets.Dataset) -> None:
        self.parts = datasets.DatasetDict(parts)
        self.asked: list[tuple[str, str | None, str | None]] = []

    def load_dataset(self, path: str, name: str | None = None, revision: str | None = None):
        self.asked.append((path, name, revision))
        return self.parts


@pytest.fixture
def hub_with(monkeypatch: pytest.MonkeyPatch):
    def install(**parts: datasets.Dataset) -> Hub:
        hub = Hub(**parts)
        monkeypatch.setattr(datasets, "load_dataset", hub.load_dataset)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        return hub

    return install


@pytest.mark.parametrize(
    ("text", "path", "config", "revision"),
    [
        ("sst2", "sst2", None, None),
        ("glue:sst2", "glue", "sst2", None),
        ("nyu-mll/glue:mrpc", "nyu-mll/glue", "mrpc", None),
        ("stanfordnlp/sst2@main", "stanfordnlp/sst2", None, "main"),
        ("a/b.c:d-e@refs/pr/1", "a/b.c", "d-e", "refs/pr/1"),
    ],
)
def test_ids(text: str, path: str, config: str | None, revision: str | None) -> None:
    assert HubId.parse(text) == HubId(path, config, revision)
    assert str(HubId.parse(text)) == text


@pytest.mark.parametrize("text", ["", "a b", "a/b/c", "glue:", "../secret", "/no/such", "a@"])
def test_text_that_is_no_id(text: str) -> None:
    with pytest.raises(DataError, match="is neither a file nor a hub id"):
        read_splits(text)


def test_old_names_are_asked_for_under_their_owner(hub_with) -> None:
    hub = hub_with(train=part([0, 1]))
    load_parts(HubId.parse("glue:sst2"))
    load_parts(HubId.parse("someone/else@v1"))
    assert hub.asked == [("nyu-mll/glue", "sst2", None), ("someone/else", None, "v1")]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("glue/sst2", ("nyu-mll/glue", "sst2", None)),
        ("glue/sst2@main", ("nyu-mll/glue", "sst2", "main")),
        ("tweet_eval/irony", ("cardiffnlp/tweet_eval", "irony", None)),
        ("mrpc", ("nyu-mll/glue", "mrpc", None)),
        ("sst2", ("stanfordnlp/sst2", None, None)),
        ("stanfordnlp/sst2", ("stanfordnlp/sst2", None, None)),
        ("nyu-mll/glue:mnli", ("nyu-mll/glue", "mnli", None)),
        ("someone/glue", ("someone/glue", None, None)),
    ],
)
def test_usual_ids(hub_with, text: str, asked: tuple) -> None:
    hub = hub_with(train=part([0, 1]))
    load_parts(HubId.parse(text))
    assert hub.asked == [asked]


# Columns and class names as the hub has them.
TASKS = {
    "mrpc": (("sentence1", "sentence2"), ["not_equivalent", "equivalent"]),
    "glue/mnli": (("premise", "hypothesis"), ["entailment", "neutral", "contradiction"]),
    "qqp": (("question1", "question2"), ["not_duplicate", "duplicate"]),
    "qnli": (("question", "sentence"), ["entailment", "not_entailment"]),
    "cola": (("sentence",), ["unacceptable", "acceptable"]),
    "ag_news": (("text",), ["World", "Sports", "Business", "Sci/Tech"]),
    "dbpedia_14": (("content",), [f"class {number}" for number in range(14)]),
    "banking77": (("text",), [f"intent {number}" for number in range(77)]),
}


@pytest.mark.parametrize("task", TASKS)
def test_tasks_by_their_usual_ids_reach_a_model(hub_with, tmp_path, task: str) -> None:
    """From the hub's columns to metrics: pairs of sentences, and up to 77 labels."""
    columns, names = TASKS[task]
    texts = {column: datasets.Value("string") for column in columns}
    features = datasets.Features(
        {**texts, "label": datasets.ClassLabel(names=names), "idx": datasets.Value("int32")}
    )

    def rows(count: int) -> datasets.Dataset:
        cells = {name: [TEXTS[(row + len(name)) % 12] for row in range(count)] for name in texts}
        numbers = {"label": [row % len(names) for row in range(count)], "idx": list(range(count))}
        return datasets.Dataset.from_dict({**cells, **numbers}, features=features)

    measured = "validation_matched" if task == "glue/mnli" else "validation"
    hub_with(**{"train": rows(160), measured: rows(80), "test": rows(3)})
    data = read_splits(task).evaluation if task == "glue/mnli" else read_dataset(task)
    assert data.label_names == tuple(names) and (data.pairs is not None) == (len(columns) == 2)
    # As many models of the hub are: without names, numbered as the data set numbers its labels.
    config = save_tiny(tmp_path, labels=len(names)) / "config.json"
    unnamed = json.loads(config.read_text())
    unnamed |= {"id2label": {str(k): f"LABEL_{k}" for k in range(len(names))}, "label2id": {}}
    config.write_text(json.dumps(unnamed))
    classifier = load_classifier(tmp_path)
    found = evaluate(classifier, data)
    assert found.n == len(data) and found.accuracy == (found.predictions == data.labels).mean()
    scores = score(classifier, data)
    assert all(np.isfinite(values).all() for values in scores.values.values())


def test_a_task_without_classes_is_refused(hub_with) -> None:
    """STS-B asks for a number."""
    features = datasets.Features({**SENTIMENT, "label": datasets.Value("float32")})
    hub_with(train=part([0.5, 3.25], features), validation=part([4.2, 1.0], features))
    with pytest.raises(DataError, match=r"label 0\.5, which names no class"):
        read_dataset("glue/stsb")


def test_glue_learns_from_train_and_measures_on_validation(hub_with) -> None:
    train = part([0, 1] * 1500, noun="lesson")
    hub_with(train=train, validation=part([1, 0, 1]), test=part([-1, -1]))
    splits = read_splits("glue:sst2")
    assert splits.made == (
        "train → calibration (stratified sample, seed 0, 2,048 of 3,000), validation → evaluation"
    )
    assert (len(splits.calibration), len(splits.evaluation)) == (2048, 3)
    assert splits.calibration.label_names == ("negative", "positive")
    assert splits.calibration.labels.sum() == 1024
    assert splits.evaluation.labels.tolist() == [1, 0, 1]
    assert splits.evaluation.texts == ("sentence 0", "sentence 1", "sentence 2")
    assert splits.evaluation.name == "glue:sst2 · evaluation"
    assert splits.evaluation.place(2) == "Row 3 of glue:sst2 (validation)"
    row = int(splits.calibration.texts[5].split()[1]) + 1
    assert splits.calibration.place(5) == f"Row {row} of glue:sst2 (train)"
    # The hub numbers its labels, so a model without names can be measured.
    assert splits.evaluation.aligned(("LABEL_0", "LABEL_1")).labels.tolist() == [1, 0, 1]


def test_a_test_part_with_labels_measures(hub_with) -> None:
    hub_with(train=part([0, 1], noun="lesson"), test=part([1, 0, 0]), unsupervised=part([-1, -1]))
    splits = read_splits("imdb")
    assert splits.made == "train → calibration, test → evaluation"
    assert len(splits.evaluation) == 3
    assert read_dataset("imdb").fingerprint == splits.evaluation.fingerprint


def test_sentences_without_a_label_are_left_out_and_counted(hub_with) -> None:
    hub_with(train=part([0, 1, -1], noun="lesson"), validation=part([1, -1, 0, -1]))
    splits = read_splits("stanfordnlp/snli")
    assert splits.evaluation.texts == ("sentence 0", "sentence 2")
    assert splits.made == (
        "train → calibration, validation → evaluation, 3 sentences without a label left out"
    )


def test_a_part_without_the_label_column_is_passed_over(hub_with) -> None:
    train = part([0, 1], noun="lesson")
    hub_with(train=train, test=part([0, 1]).remove_columns("label"), dev=part([1, 0]))
    assert read_splits("some/data").made == "train → calibration, dev → evaluation"


def test_commands_learn_from_one_part_and_measure_on_the_other(hub_with, tmp_path, capsys) -> None:
    def rows(name: str, count: int) -> datasets.Dataset:
        texts = [f"{TEXTS[number % 12]} {name} {number}" for number in range(count)]
        columns = {"sentence": texts, "label": [number % 2 for number in range(count)]}
        return datasets.Dataset.from_dict(columns).cast_column("label", SENTIMENT["label"])

    hub_with(train=rows("train", 2100), validation=rows("validation", 20), test=part([-1, -1]))
    model, scheme = str(save_tiny(tmp_path / "model")), str(tmp_path / "s.json")
    recovered = str(tmp_path / "r.json")

    def run(command: str, *arguments: str) -> dict:
        assert main.main([command, "--model", model, *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    name = "glue/sst2 · calibration"
    read, learn = ["--data", "glue/sst2"], ["--calibration", "glue/sst2"]
    usual = ["--scheme", scheme, "--out", recovered]
    found = run("score", *read, "--criteria", "importance", "--no-cache")
    assert (found["data"], found["sentences"]) == (name, 2048)
    for sentences, expected in ((["--sentences", "2090"], 2090), ([], 2048)):
        found = run(
            "propose", *learn, *sentences, "--method", "importance", "--heads", "2", "--out", scheme
        )
        assert found["calibration"] == {"name": name, "sentences": expected}
    found = run("recover", *learn, *usual)
    assert found["calibration"] == {"name": name, "sentences": 2048}
    found = run("recover", *learn, *usual, "--method", "finetune", "--epochs", "0.1")
    assert found["calibration"] == {"name": name, "sentences": 2100}
    found = run("evaluate", *read, "--scheme", recovered, "--no-cache")
    assert (found["dataset"], found["n"]) == ("glue/sst2 · evaluation", 20)


def test_a_seed_of_the_draw_leaves_the_split_of_one_part(hub_with, tmp_path, monkeypatch) -> None:
    """Otherwise `propose --seed 1` would learn from sentences that `evaluate` measures on."""
    hub_with(train=part([0, 1] * 30))
    learnt = []
    monkeypatch.setattr(
        "bhpvas.search.propose", lambda _, dataset, *__, **___: learnt.append(dataset) or 1 / 0
    )
    model = str(save_tiny(tmp_path / "model"))
    usual = ["propose", "--model", model, "--calibration", "some/data", "--heads", "1"]
    for seed in ("0", "1"):
        with pytest.raises(ZeroDivisionError):
            main.main([*usual, "--seed", seed, "--out", str(tmp_path / "s.json")])
    assert learnt[0].texts == learnt[1].texts
    assert not {*learnt[0].texts} & {*read_dataset("some/data").texts}


def test_one_part_is_divided(hub_with) -> None:
    hub_with(train=part([0, 1, 0, 1, 0, 1]))
    splits = read_splits("some/data", seed=2)
    assert splits.made == "stratified split of train, seed 2, one third calibration"
    assert splits.calibration.name == "some/data · calibration"
    assert (len(splits.calibration), len(splits.evaluation)) == (2, 4)


def test_labels_that_are_words_are_numbered_alike_in_every_part(hub_with) -> None:
    hub_with(train=part(["b", "c", "a"], None), test=part(["c", "b"], None))
    splits = read_splits("some/data")
    assert splits.calibration.label_names == splits.evaluation.label_names == ("a", "b", "c")
    assert splits.calibration.labels.tolist() == [1, 2, 0]
    assert splits.evaluation.labels.tolist() == [2, 1]
    assert not splits.evaluation.numbered


def test_parts_that_cannot_be_used(hub_with) -> None:
    hub_with(test=part([-1, -1]))
    with pytest.raises(DataError, match=r"^No part of glue:sst2 gives its labels"):
        read_splits("glue:sst2")
    hub_with(train=part([0.5, 1.25], None), test=part([3.5], None))
    with pytest.raises(DataError, match=r"^Row 1 of glue:stsb \(train\) has the label 0\.5, which"):
        read_splits("glue:stsb")
    hub_with(clean=part([0, 1]), noisy=part([0, 1]))
    with pytest.raises(DataError, match=r"^some/data has the parts clean, noisy, none of which"):
        read_splits("some/data")
    hub_with(train=part([0, 1]))
    with pytest.raises(DataError, match=r"^some/data has no column 'stars': it has idx, sentence"):
        read_splits("some/data", label="stars")


def test_what_the_library_says_becomes_one_sentence(hub_with, monkeypatch) -> None:
    def load_dataset(*arguments: object, **settings: object) -> None:
        raise ValueError("Config name is missing.\nPlease pick one among: ['cola', 'sst2']")

    hub_with()
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError) as caught:
        read_splits("glue")
    assert str(caught.value) == (
        "glue cannot be loaded from the hub (Config name is missing. Please pick one among: "
        "['cola', 'sst2']): check the id, its configuration and revision, or give a file."
    )


def test_without_the_package_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"^glue:sst2 is a hub id, .* pip install 'bhpvas\[hub\]'"):
        read_splits("glue:sst2")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        # Nothing listens on port 9 of this machine, so that it refuses as no network does.
        (
            {"HF_ENDPOINT": "http://127.0.0.1:9"},
            "cannot be fetched because the hub does not answer",
        ),
        ({"HF_HUB_OFFLINE": "1"}, "cannot be loaded from the hub"),
    ],
)
def test_without_network(setting: dict[str, str], message: str, tmp_path) -> None:
    """In a process of its own, since the hub's library reads its settings when it is imported."""
    code = "from bhpvas.data.reading import read_splits\nread_splits('nobody/nothing:here')"
    environment = {**os.environ, "HF_HOME": str(tmp_path), **setting}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"bhpvas.errors.DataError: nobody/nothing:here {message}")
    assert "Retrying" not in done.stderr


def test_files_do_not_import_the_hub() -> None:
    code = (
        "import sys, io\n"
        "from bhpvas.data.reading import read_splits\n"
        "read_splits(io.BytesIO(b'text,label\\ngood,1\\nbad,0\\n'), name='a.csv')\n"
        "sys.exit(any(name in sys.modules for name in ('datasets', 'huggingface_hub', 'torch')))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_further_columns_of_few_values_group_the_sentences(hub_with) -> None:
    few = {
        "genre": datasets.ClassLabel(names=["film", "book", "song"]),
        "stars": datasets.Value("int32"),
        "words": datasets.Sequence(datasets.Value("string")),
    }
    features = datasets.Features({**SENTIMENT, **few})

    def rows(count: int) -> datasets.Dataset:
        cells = {
            "idx": list(range(count)),
            "sentence": [f"sentence {row}" for row in range(count)],
            "label": [row % 2 for row in range(count)],
            "genre": [row % 4 - 1 for row in range(count)],
            "stars": [row % 5 if row else None for row in range(count)],
            "words": [["sentence", str(row)] for row in range(count)],
        }
        return datasets.Dataset.from_dict(cells, features=features)

    hub_with(train=rows(60), validation=rows(50))
    splits = read_splits("someone/reviews")
    # Neither what tells sentences apart (idx) nor what is no single value (words).
    assert set(splits.evaluation.groups) == {"genre", "stars"}
    assert splits.evaluation.groups["genre"][:5] == ("none", "film", "book", "song", "none")
    assert splits.evaluation.groups["stars"][:6] == ("none", "1", "2", "3", "4", "0")
    assert len(splits.calibration.groups["genre"]) == 60
    assert splits.evaluation.label_names == ("negative", "positive")


# --- how it was read


def test_a_data_set_says_which_of_its_rows_measure(hub_with) -> None:
    hub_with(train=part([0, 1, -1], noun="lesson"), validation=part([1, -1, 0, -1]))
    for data in (read_dataset("some/data"), read_splits("some/data").evaluation):
        assert (data.provenance.split, data.provenance.part) == (None, "validation")
        assert data.provenance.notes == ()
        assert data.provenance.left_out == {"without a label": 2}
        assert (data.provenance.text, data.provenance.label) == ("sentence", "label")
    assert read_splits("some/data").calibration.provenance.left_out == {"without a label": 1}
    hub_with(train=part([0, 1] * 6))
    for data in (read_dataset("some/data"), read_splits("some/data").calibration):
        assert data.provenance.notes == (
            "Of train, 33% are set aside to learn from, and the rest measures.",
        )


def test_numbers_of_a_data_set_may_be_asked_for_instead_of_its_names(hub_with) -> None:
    hub_with(train=part([0, 1]), test=part([1, 0, 0]))
    with pytest.raises(DataError, match=r"those of the data negative, positive: .*--labels-from 0"):
        read_dataset("some/data").aligned(("bad", "good"))
    data = read_dataset("some/data", labels_from=0).aligned(("bad", "good"))
    assert data.labels.tolist() == [1, 0, 0] and data.provenance.matched == "number"
    hub_with(train=part([1, 2], None), test=part([2, 1, 1], None))
    data = read_splits("some/data", labels_from=1).evaluation.aligned(("bad", "good"))
    assert data.labels.tolist() == [1, 0, 0]


def test_a_column_of_names_beside_numbers_counts_in_every_part(hub_with) -> None:
    words = {0: "anger", 1: "joy", 2: "fear"}

    def rows(labels: list[int]) -> datasets.Dataset:
        texts = [f"row {row}" for row in range(len(labels))]
        names = [words[label] for label in labels]
        cells = {"text": texts, "label": labels, "label_text": names}
        return datasets.Dataset.from_dict(cells)

    hub_with(train=rows([2, 0, 1]), test=rows([2, 2, 0]))
    for data in (read_dataset("some/data"), read_splits("some/data").evaluation):
        assert data.label_names == ("anger", "joy", "fear") and data.numbered
        assert data.aligned(("Fear", "Joy", "Anger")).labels.tolist() == [0, 0, 2]
        assert data.aligned(("LABEL_0", "LABEL_1", "LABEL_2")).labels.tolist() == [2, 2, 0]
    words[2] = "joy"
    hub_with(train=rows([0, 1]), test=rows([2, 0]))
    with pytest.raises(DataError, match="has the label 2 and 'joy' in the column label_text"):
        read_dataset("some/data")


def test_a_dash_for_no_label_is_left_out_when_asked(hub_with) -> None:
    hub_with(train=part(["no", "yes"], None), test=part(["yes", "-", "no"], None))
    with pytest.raises(DataError, match=r"Row 2 of some/data \(test\) is labelled '-'"):
        read_dataset("some/data").aligned(("no", "yes"))
    data = read_dataset("some/data", skip_unlabelled=True)
    assert data.aligned(("no", "yes")).labels.tolist() == [1, 0]
    assert data.provenance.left_out == {"without a label": 1}


def test_a_column_of_parts_is_used_in_a_data_set_of_a_single_part(hub_with) -> None:
    rows = [f"row {number}" for number in range(12)]
    cells = {"text": rows, "label": [0, 1, 1] * 4, "set": ["train"] * 8 + ["test"] * 4}
    hub_with(train=datasets.Dataset.from_dict(cells | {"label": [0, 1, 1, -1] * 3}))
    data = read_dataset("some/data")
    assert (data.texts, data.name) == (tuple(rows[8:11]), "some/data · evaluation")
    assert (data.provenance.split, data.provenance.part) == ("set", "test")
    assert data.provenance.left_out == {"labelled -1": 1}
    assert read_splits("some/data").made == "train → calibration, test → evaluation"
    assert len(read_dataset("some/data", part="calibration")) == 6
    assert read_splits("some/data", split="").made.startswith("stratified split of train")
    for one, other in (("film", "book"), ("train", "train")):  # no parts, and one alone
        hub_with(train=datasets.Dataset.from_dict(cells | {"set": [one, other] * 6}))
        assert read_splits("some/data").made.startswith("stratified split of train")
        learnt = read_dataset("some/data", part="calibration")
        assert not {*learnt.texts} & {*read_dataset("some/data").texts}
