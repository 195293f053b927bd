"""Judge searches to a share of the FLOPs: ``python -m benchmarks.targets TRAIN OTHERS…``.

Heads and neurons are chosen and refitted on sentences drawn from TRAIN, one draw a seed; accuracy
is measured on each of the OTHERS, whose sentences nothing learns from. What the store holds is not
computed again, so the work can be stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pandas as pd

from bhpvas.data.reading import read_dataset
from bhpvas.data.sampling import calibration_sample
from bhpvas.evaluation.comparison import accuracy_change_interval
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import load_classifier
from bhpvas.search.budget import Target
from bhpvas.search.target import narrow_to


def main() -> None:
    """Measure and print: points lost at each reduction, mean over draws, least and most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("others", nargs="+")
    parser.add_argument("--store", help="file that keeps what was measured")
    parser.add_argument("--reductions", nargs="+", type=float, default=[2, 3, 4], metavar="X")
    parser.add_argument("--sentences", type=int, default=2048)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="SEED")
    given = parser.parse_args()

    classifier = load_classifier()
    train, others = read_dataset(given.train), [read_dataset(one) for one in given.others]
    store = None if given.store is None else Path(given.store)
    known = [] if store is None or not store.exists() else store.read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in known]
    unpruned = {other.name: evaluate(classifier, other) for other in others}
    began = time.process_time()
    evaluate(classifier, calibration_sample(train, given.sentences, 0))
    one_pass = time.process_time() - began
    for seed in given.seeds:
        done = {row["reduction"] for row in rows if row["seed"] == seed}
        wanted = [one for one in given.reductions if one not in done]
        if not wanted:
            continue
        calibration = calibration_sample(train, given.sentences, seed)
        began = time.process_time()
        found = narrow_to(
            classifier, calibration, [Target("flops", 1 / x) for x in wanted], seed=seed
        )
        took = (time.process_time() - began) / one_pass
        for reduction, one in zip(wanted, found, strict=True):
            changed = classifier.with_weights(one.recovered.weights)
            for other in others:
                after = evaluate(changed, other, one.mask)
                change, low, high = accuracy_change_interval(unpruned[other.name], after)
                row = {
                    "seed": seed,
                    "reduction": reduction,
                    "on": other.name,
                    "lost": -100 * change,
                    "low": -100 * high,
                    "high": -100 * low,
                    "divergence": one.divergence,
                    "passes": took,
                    "together": len(wanted),
                }
                rows.append(row)
                if store is not None:
                    with store.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    table = pd.DataFrame(rows)
    table = table[table["seed"].isin(given.seeds) & table["reduction"].isin(given.reductions)]
    for name, one in unpruned.items():
        print(f"{one.n} sentences of {name}: {one.accuracy:.2%} of the unpruned model's are right")
    print(f"One plain pass over the calibration sentences: {one_pass:.1f} s of processor time")
    said = table.groupby(["on", "reduction"]).agg(
        lost=("lost", lambda one: f"{one.mean():.2f} ({one.min():.2f} … {one.max():.2f})"),
        draws=("seed", "nunique"),
        divergence=("divergence", "mean"),
    )
    print(said.to_string())
    print(
        f"A search takes {table['passes'].mean():.1f} such passes for all that it is asked at once."
    )


if __name__ == "__main__":
    main()
