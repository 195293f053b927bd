"""Judge searches to a share of the FLOPs: ``python -m benchmarks.targets TRAIN OTHERS…``.

Heads and neurons are chosen and refitted on sentences drawn from TRAIN, one draw a seed; accuracy
is measured on each of the OTHERS, whose sentences nothing learns from. Of ``--methods`` one such as
``random+compensate`` is followed by a recovery. What the store holds of a model is not computed
again, so the work can be stopped. ``--model`` names another than the sample model: a folder or hub
id.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pandas as pd

from benchmarks.memory import watched_memory
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset
from bhpvas.data.sampling import calibration_sample
from bhpvas.evaluation.comparison import accuracy_change_interval
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.recovery import recover
from bhpvas.search.budget import Target
from bhpvas.search.registry import DEFAULT_METHOD
from bhpvas.search.target import narrow_to


def main() -> None:
    """Measure and print: points lost at each reduction, mean over draws, least and most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("others", nargs="+")
    parser.add_argument("--model", help="folder or hub id (default: the sample model)")
    parser.add_argument("--store", help="file that keeps what was measured")
    parser.add_argument("--methods", nargs="+", default=[DEFAULT_METHOD], metavar="NAME")
    parser.add_argument("--reductions", nargs="+", type=float, default=[2, 3, 4], metavar="X")
    parser.add_argument("--sentences", type=int, default=2048)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="SEED")
    given = parser.parse_args()

    classifier = load_classifier(given.model)
    train, others = read_dataset(given.train), [read_dataset(one) for one in given.others]
    store = None if given.store is None else Path(given.store)
    known = [] if store is None or not store.exists() else store.read_text("utf-8").splitlines()
    kept = [{"method": DEFAULT_METHOD, "model": None, **json.loads(line)} for line in known]
    rows = [row for row in kept if row["model"] == given.model]
    unpruned = {other.name: evaluate(classifier, other) for other in others}
    began = time.process_time()
    evaluate(classifier, calibration_sample(train, given.sentences, 0))
    one_pass = time.process_time() - began
    for seed, method in ((seed, method) for seed in given.seeds for method in given.methods):
        done = {row["reduction"] for row in rows if (row["seed"], row["method"]) == (seed, method)}
        wanted = [one for one in given.reductions if one not in done]
        if not wanted:
            continue
        calibration = calibration_sample(train, given.sentences, seed)
        with watched_memory() as memory:
            began, of_processor = time.perf_counter(), time.process_time()
            found = _found(classifier, calibration, method, wanted, seed)
            seconds = time.perf_counter() - began
            took = (time.process_time() - of_processor) / one_pass
        for reduction, (mask, changed, moved) in zip(wanted, found, strict=True):
            for other in others:
                after = evaluate(changed, other, mask)
                change, low, high = accuracy_change_interval(unpruned[other.name], after)
                row = {
                    "model": given.model,
                    "seed": seed,
                    "method": method,
                    "reduction": reduction,
                    "on": other.name,
                    "lost": -100 * change,
                    "low": -100 * high,
                    "high": -100 * low,
                    "divergence": moved,
                    "passes": took,
                    "seconds": seconds,
                    "memory_before": memory[0],
                    "memory": max(memory),
                    "together": len(wanted),
                }
                rows.append(row)
                if store is not None:
                    with store.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    for name, before in unpruned.items():
        said = f"{before.accuracy:.2%} of the unpruned model's are right"
        print(f"{before.n} sentences of {name}: {said}")
    print(f"One plain pass over the calibration sentences: {one_pass:.1f} s of processor time")
    table = pd.DataFrame(rows)
    asked = {"seed": given.seeds, "reduction": given.reductions, "method": given.methods}
    for column, wanted_values in asked.items():
        table = table[table[column].isin(wanted_values)]
    print(_said(table, given.methods[0]).to_string())
    for method, mine in table.groupby("method"):
        print(f"{method}: {mine['passes'].mean():.1f} such passes for all reductions at once")
        if "seconds" in mine:  # an old store has none
            print(
                f"{method}: {mine['seconds'].mean():.0f} s for them; anonymous memory at most "
                f"{mine['memory'].max():.2f} GB, of which {mine['memory_before'].max():.2f} before"
            )


def _found(
    classifier: Classifier, calibration: Dataset, method: str, reductions: list[float], seed: int
) -> list[tuple[HeadMask, Classifier, float | None]]:
    """For each reduction a mask, the classifier with fitted weights, and how far answers moved.

    How far is None where a recovery was run after the search.
    """
    name, _, recovery = method.partition("+")
    targets = [Target("flops", 1 / one) for one in reductions]
    found = []
    for one in narrow_to(classifier, calibration, targets, name, seed=seed):
        weights, moved = one.weights, one.divergence
        if recovery:
            weights = recover(classifier, calibration, one.mask, recovery, seed=seed).weights
        found.append((one.mask, classifier.with_weights(weights), None if recovery else moved))
    return found


def _said(table: pd.DataFrame, first: str) -> pd.DataFrame:
    """Points lost by each method, and in how many draws the ``first`` one loses less."""
    told = []
    for (on, reduction, method), mine in table.groupby(["on", "reduction", "method"]):
        lost = mine.set_index("seed")["lost"]
        same = (table["on"] == on) & (table["reduction"] == reduction) & (table["method"] == first)
        least = table[same].set_index("seed")["lost"].reindex(lost.index).dropna()
        less = int((least < lost[least.index]).sum())
        told.append(
            {
                "on": on,
                "reduction": reduction,
                "method": method,
                "lost": f"{lost.mean():.2f} ({lost.min():.2f} … {lost.max():.2f})",
                "draws": len(lost),
                "divergence": mine["divergence"].mean(),
                f"{first} loses less": "" if method == first else f"{less} of {len(least)}",
            }
        )
    return pd.DataFrame(told).set_index(["on", "reduction", "method"])


if __name__ == "__main__":
    main()
