"""Judge every way to propose: ``python -m benchmarks.proposals TRAIN VALIDATION --store FILE``.

Searches and compensation learn from sentences drawn from TRAIN, one draw a seed; accuracy is
measured on VALIDATION. What the store holds is not computed again, so the work can be stopped.
"""

from __future__ import annotations

import argparse

import pandas as pd

from bhpvas.data.reading import read_dataset
from bhpvas.data.sampling import calibration_sample
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import load_classifier
from bhpvas.search import METHODS
from bhpvas.search.curves import Curve, Store, areas, band, measure_curve


def lost(curves: list[Curve], whole: float) -> pd.DataFrame:
    """Points of accuracy lost at each number of removed heads: mean over seeds, least, most."""
    rows = pd.DataFrame(
        [
            {"method": one.method, "removed": removed, "lost": 100 * (whole - accuracy)}
            for one in curves
            for removed, accuracy in zip(one.removed, one.headline, strict=True)
        ]
    )
    table = rows.groupby(["method", "removed"], sort=False)["lost"]
    said = table.agg(lambda one: f"{one.mean():.2f} ({one.min():.2f} … {one.max():.2f})")
    return said.unstack("removed").reset_index()


def main() -> None:
    """Measure and print: areas under the curves, points lost, and which method leads by seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("validation")
    parser.add_argument("--store", help="file that keeps what was measured")
    parser.add_argument("--methods", nargs="+", default=[*METHODS], metavar="NAME")
    parser.add_argument("--removed", nargs="+", type=int, default=[36, 45, 54, 63], metavar="K")
    parser.add_argument("--sentences", type=int, default=2048)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="SEED")
    parser.add_argument("--recovery", default="compensate", help="or none")
    given = parser.parse_args()

    classifier = load_classifier()
    train, validation = read_dataset(given.train), read_dataset(given.validation)
    store = Store(given.store)
    recovery = None if given.recovery == "none" else given.recovery
    whole = evaluate(classifier, validation).accuracy
    print(f"{len(validation)} sentences of {validation.name}, accuracy with every head {whole:.2%}")
    curves: list[Curve] = []
    for seed in given.seeds:
        calibration = calibration_sample(train, given.sentences, seed)
        for method in given.methods:
            curve = measure_curve(
                classifier,
                calibration,
                validation,
                method,
                given.removed,
                recovery=recovery,
                seed=seed,
                store=store,
            )
            curves.append(curve)
            said = ", ".join(
                f"{removed}: {100 * (whole - accuracy):.2f}"
                for removed, accuracy in zip(curve.removed, curve.headline, strict=True)
            )
            print(f"seed {seed}  {method:15} area {curve.area:.4f}  points lost {said}", flush=True)
    print(areas(curves).round(4).to_string(index=False))
    print(lost(curves, whole).to_string(index=False))
    for seed in given.seeds:
        best = max((one for one in curves if one.seed == seed), key=lambda one: one.area)
        print(f"seed {seed}: {best.method} leads with an area of {best.area:.4f}")
    if "random" in given.methods:
        print(band([one for one in curves if one.method == "random"]).to_string(index=False))


if __name__ == "__main__":
    main()
