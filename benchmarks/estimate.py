"""How far off the estimate is: ``python -m benchmarks.estimate --store FILE``.

Gradients are taken at one mask; then heads are removed, drawn from all kept ones or from those
twice as many that importance would remove first, and every sentence is answered anew. Estimates
from some sentences are set beside what really happened to the same ones and to all others: those of
the sample's own splits, and of splits drawn at random. What the store holds is not computed again,
so the work can be stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bhpvas.criteria import Scores, removal_order, score
from bhpvas.data.reading import sample_splits
from bhpvas.evaluation.estimate import Estimate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.engine import predict
from bhpvas.tasks.single_label import margins

SIZES = (1, 3, 6, 9, 12, 18, 24, 36)


@dataclass(frozen=True)
class Trial:
    """A mask, how many heads it removes, and from which ones they were drawn."""

    mask: HeadMask
    size: int
    drawn_from: str


def trials(start: HeadMask, order: list[HeadId], rounds: int, seed: int) -> list[Trial]:
    """In each round one of every size from either pool, as long as six heads stay."""
    rng, made = np.random.default_rng(seed), list[Trial]()
    for _ in range(rounds):
        for size in (one for one in SIZES if one <= len(order) - 6):
            for name, pool in (("all", list(start)), ("least important", order[: 2 * size])):
                places = rng.choice(len(pool), size, replace=False)
                made.append(Trial(start.without(pool[place] for place in places), size, name))
    return made


def answered(
    classifier: Classifier, sentences: list[Encoded], asked: list[Trial], store: Path | None
) -> np.ndarray:
    """Logits of all sentences under each mask ``[M, N, C]``."""
    known = np.load(store)["logits"] if store is not None and store.exists() else []
    found = list(known[: len(asked)])
    for trial in asked[len(found) :]:
        found.append(np.concatenate([predict(classifier, one, trial.mask) for one in sentences]))
        if store is not None:
            np.savez(store, logits=np.array(found))
    return np.array(found)


def taken(scores: Scores, rows: np.ndarray) -> Scores:
    """Scores of some of the sentences, as far as an estimate reads them."""
    assert scores.gate_gradients is not None, "importance was scored"
    return replace(
        scores,
        rows=rows,
        gate_gradients=scores.gate_gradients[rows],
        logits=scores.logits[rows],
        labels=scores.labels[rows],
    )


def second_order(scores: Scores, masks: list[HeadMask]) -> np.ndarray:
    """Change of the loss ``[M]`` with the empirical Fisher matrix of the gradients as curvature."""
    assert scores.gate_gradients is not None, "importance was scored"
    gradients = scores.gate_gradients.reshape(len(scores.rows), -1).astype(np.float64)
    change = np.array([one.array - scores.mask.array for one in masks]).reshape(len(masks), -1)
    return change @ gradients.mean(0) + np.square(change @ gradients.T).mean(1) / 2


def agreement(estimated: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """How estimates agree with the changes of as many masks; correlation is undefined for one."""
    changed = true != 0
    return {
        "sign": float((np.sign(estimated) == np.sign(true))[changed].mean()),
        "r": float(np.corrcoef(estimated, true)[0, 1]),
        "error": float(np.abs(estimated - true).mean()),
        "no change": float(np.abs(true).mean()),
    }


def judged(
    scores: Scores, asked: list[Trial], logits: np.ndarray, own: int, draws: int
) -> pd.DataFrame:
    """A row for each size, pool, judged sentences and quantity: means over splits."""
    before, _ = margins(scores.logits, scores.labels)
    masks, every = [one.mask for one in asked], np.arange(len(scores.rows))
    losses = scores.task.losses(logits, scores.labels) - np.logaddexp(0, -before)  # [M, N]
    gained = (scores.task.answers(logits) == scores.labels).astype(float)  # [M, N]
    gained -= scores.task.answers(scores.logits) == scores.labels
    shuffled = (np.random.default_rng(seed).permutation(every) for seed in range(draws))
    rows = []
    for order in (every, *shuffled):
        some = taken(scores, order[:own])
        estimate = Estimate.from_scores(some)
        estimates = {
            "loss": (estimate.loss_change(masks), losses),
            "loss, second order": (second_order(some, masks), losses),
            "points of accuracy": (100 * estimate.accuracy_change(masks), 100 * gained),
        }
        for sentences, of in (("same", order[:own]), ("others", order[own:])):
            for what, (estimated, true) in estimates.items():
                for size in sorted({one.size for one in asked}):
                    for pool in ("all", "least important"):
                        here = [(one.size, one.drawn_from) == (size, pool) for one in asked]
                        found = agreement(estimated[here], true[here][:, of].mean(1))
                        named = {"of": what, "sentences": sentences, "drawn from": pool}
                        rows.append({**named, "heads": size, "masks": sum(here), **found})
    keys = ["of", "sentences", "drawn from", "heads", "masks"]
    return pd.DataFrame(rows).groupby(keys, sort=False).mean().reset_index()


def main() -> None:
    """Answer, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, metavar="FILE", help="keeps what was answered (.npz)")
    parser.add_argument("--rounds", type=int, default=10, help="masks of each kind (default: 10)")
    parser.add_argument("--draws", type=int, default=4, help="random splits (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="of the masks (default: 0)")
    parser.add_argument(
        "--removed", type=int, default=0, metavar="K", help="heads gone before, by importance"
    )
    given = parser.parse_args()
    classifier, splits = load_classifier(), sample_splits()
    data = [one.aligned(classifier.label_names) for one in (splits.calibration, splits.evaluation)]
    start, order = classifier.full_mask(), list[HeadId]()
    for _ in range(2):  # the second time with the first heads gone
        found = [score(classifier, one, ["importance"], mask=start) for one in data]
        order = [
            head
            for head in removal_order(found[0].values["importance"], "keep")
            if head not in start.removed
        ]
        if len(start.removed) < given.removed:
            start = start.without(order[: given.removed])
    gradients = [one.gate_gradients for one in found if one.gate_gradients is not None]
    scores = replace(
        found[0],
        rows=np.arange(sum(map(len, data))),
        gate_gradients=np.concatenate(gradients),
        logits=np.concatenate([one.logits for one in found]),
        labels=np.concatenate([one.labels for one in found]),
    )
    asked = trials(start, order, given.rounds, given.seed)
    sentences = [classifier.encode(one) for one in data]
    logits = answered(classifier, sentences, asked, given.store)
    table = judged(scores, asked, logits, len(data[0]), given.draws)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
