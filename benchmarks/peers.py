"""bhpvas beside what a user would otherwise run: ``python -m benchmarks.peers --python PYTHON``.

The peers need transformers 4.57, so they run in an environment of their own::

    python3.11 -m venv peers
    peers/bin/pip install torch transformers==4.57.1 textpruner torch-pruning

Model, tokens, sentences and threads are the same; the two take turns. The peers get their batches
ready-made and sorted by length, while the time of bhpvas includes tokenising.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.__main__ import half_of
from bhpvas.criteria import score
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import sample_splits
from bhpvas.evaluation.ablation import ablate
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.pruning import remove_heads
from bhpvas.storage.paths import sample_data_folder

#: Sentences whose heads are compared pair by pair: the plain loop's Gram matrices grow as tokens².
FEW = 32
JOBS_FILE = Path(__file__).with_name("peer_jobs.py")


@dataclass(frozen=True)
class Row:
    """A peer's job by name, the same job here, and why results differ where they must.

    ``here`` says more of what is asked for, where one job of the peer answers to several of ours.
    ``ready`` is what the peer does before its clock starts, so that ours has done as much.
    """

    peer: str
    own: Callable[[], Any]
    differs: str = ""
    ready: Callable[[], Any] = lambda: None
    here: str = ""

    @property
    def title(self) -> str:
        """What the table calls it."""
        return f"{self.peer}, {self.here}" if self.here else self.peer


def rows_of(classifier: Classifier, dataset: Dataset) -> list[Row]:
    """Every peer with our side of its job; results are arrays of the peer's shape."""
    few, half = dataset.take(range(FEW)), half_of(classifier)
    summed = "gradients are averaged over a batch before the absolute value"

    def importance() -> np.ndarray:
        return score(classifier, dataset, ["importance"]).values["importance"]

    return [
        Row("run_bertology, batches of 1", importance),
        Row("run_bertology, batches of 32", importance, summed),
        Row("TextPruner, batches of 1", importance),
        Row("TextPruner, batches of 32", importance, summed),
        Row("one forward a head", lambda: ablate(classifier, dataset).loss_change),
        Row(
            "pairwise CKA",
            lambda: score(classifier, few, ["similarity"]).similarity_matrix["similarity"],
        ),
        Row(
            "Torch-Pruning",
            lambda: remove_heads(classifier, half, shared=True),
            here="a smaller model beside the larger one",
        ),
        Row("Torch-Pruning", lambda: remove_heads(classifier, half), here="nothing in common"),
        Row(
            "Torch-Pruning in place",
            lambda: remove_heads(classifier, half, shared=True),
            ready=lambda: copy.deepcopy(classifier.model),
            here="the larger one given up",
        ),
    ]


class Peers:
    """The other environment's process."""

    def __init__(self, python: str, classifier: Classifier, dataset: Dataset, folder: Path) -> None:
        encoded = classifier.encode(dataset)
        inputs = folder / "inputs.npz"
        np.savez(
            inputs,
            tokens=encoded.tokens[:],
            lengths=encoded.lengths,
            labels=dataset.labels,
            removed=~half_of(classifier).kept,
            few=FEW,
        )
        model = str(sample_data_folder() / "model")
        threads = str(torch.get_num_threads())
        self.process = subprocess.Popen(
            [python, str(JOBS_FILE), model, str(inputs), threads, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
        )
        self.versions = self._answer()["versions"]

    def run(self, job: str) -> tuple[float, np.ndarray]:
        """Seconds that a job took there, and what it found."""
        assert self.process.stdin is not None
        print(job, file=self.process.stdin, flush=True)
        answer = self._answer()
        return answer["seconds"], np.load(answer["file"])

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(
                f"The peers' process ended with {self.process.wait()}: see that its environment "
                f"has all packages, by running {JOBS_FILE.name} there."
            )
        return json.loads(line)


def agreement(own: np.ndarray, other: np.ndarray, differs: str) -> str:
    """How two results agree: largest difference against the largest value, or ranks and why."""
    upper = np.triu_indices(len(own), 1) if own.shape[0] == own.shape[1] else ...
    one, two = own[upper].ravel(), other[upper].ravel()
    if differs:
        return f"rank correlation {spearmanr(one, two).statistic:.2f}: {differs}"
    return f"equal to {np.abs(one - two).max() / np.abs(two).max():.0e} of the largest"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", required=True, help="python of the peers' environment")
    parser.add_argument("--sentences", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="append", help="only the rows whose name begins so")
    given = parser.parse_args()
    classifier = load_classifier()
    dataset = sample_splits().evaluation.aligned(classifier.label_names)
    step = max(1, len(dataset) // given.sentences)
    dataset = dataset.take(range(0, len(dataset), step)[: given.sentences])
    with tempfile.TemporaryDirectory(prefix="bhpvas-peers-") as folder:
        peers = Peers(given.python, classifier, dataset, Path(folder))
        print(
            f"{len(dataset)} sentences, {torch.get_num_threads()} threads, torch "
            f"{torch.__version__}; peers: "
            + ", ".join(f"{name} {version}" for name, version in peers.versions.items())
            + "\n"
        )
        print("| peer | its s | bhpvas s | ratio (median) | min – max | results |")
        print("|---|---|---|---|---|---|")
        wanted = tuple(given.peer or [""])
        for row in rows_of(classifier, dataset):
            if not row.peer.startswith(wanted):
                continue
            own: Any = None
            theirs, ours = list[float](), list[float]()
            for turn in range(given.rounds + 1):
                taken, found = peers.run(row.peer)
                own = None  # gives its memory back before the next, as the peer's does
                row.ready()
                begun = time.perf_counter()
                own = row.own()
                if turn:  # the first warms both up
                    theirs.append(taken)
                    ours.append(time.perf_counter() - begun)
            if row.peer.startswith("Torch-Pruning"):
                own = removal_logits(classifier, dataset, own)
            print(line(row, theirs, ours, agreement(own, found, row.differs)), flush=True)
        peers.close()


def removal_logits(classifier: Classifier, dataset: Dataset, model: Any) -> np.ndarray:
    """Logits of a smaller model, in the order of the peers' one batch, sorted by length."""
    encoded = classifier.encode(dataset)
    order = np.argsort(encoded.lengths, kind="stable")
    found = np.empty((len(order), classifier.geometry.labels), dtype=np.float32)
    with torch.inference_mode():
        for place, row in enumerate(order):
            ids = torch.from_numpy(encoded.input_ids(row))[None]
            found[place] = model(input_ids=ids).logits[0].numpy()
    return found


def line(row: Row, theirs: list[float], ours: list[float], agreed: str) -> str:
    """A row of the table."""
    ratios = [one / two for one, two in zip(theirs, ours, strict=True)]
    return (
        f"| {row.title} | {statistics.median(theirs):.3f} | {statistics.median(ours):.3f} | "
        f"{statistics.median(ratios):.2f} | {min(ratios):.2f} – {max(ratios):.2f} | {agreed} |"
    )


if __name__ == "__main__":
    main()
