"""Time a narrowed model beside the unpruned one: ``python -m benchmarks.speed [SCHEME]``.

Without a scheme the sample model is narrowed to a third of its FLOPs first, on the sample's
calibration sentences. On each engine both models take turns, and a speed-up is the ratio of two
times of one round: other work on the machine makes both slower, and the interval wider. ``--table``
holds the times that a latency table predicts against them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from bhpvas.data.reading import sample_splits
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import neurons_kept, speed_bound
from bhpvas.model.latency import measure_latency
from bhpvas.model.latency_table import measured_table
from bhpvas.model.runtimes import TITLES, Engine, Timing
from bhpvas.scheme.scheme import load_scheme
from bhpvas.search.budget import Target
from bhpvas.search.target import narrow_to


def main() -> None:
    """Measure and print a row for each engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scheme", nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--engines", nargs="+", choices=get_args(Engine), default=get_args(Engine))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()

    classifier = load_classifier(given.model)
    if given.scheme is None:
        (found,) = narrow_to(classifier, sample_splits().calibration, [Target("flops", 1 / 3)])
        changed, mask = classifier.with_weights(found.weights), found.mask
    else:
        scheme = load_scheme(given.scheme)
        changed, mask = scheme.on(classifier, Path(given.scheme).parent), scheme.mask
    bound = speed_bound(classifier.geometry, mask, [given.length])
    print(
        f"Heads kept by layer {list(mask.kept_per_layer)}, neurons "
        f"{neurons_kept(classifier.geometry, mask)}; by arithmetic at most {bound:.2f} ×"
    )
    columns = ["engine", "unpruned, ms", "narrowed, ms", "times as fast", "of the bound"]
    columns += ["predicted"] * given.table
    print(f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", sep="\n")
    for engine in given.engines:
        timed = measure_latency(
            {"unpruned": (classifier, classifier.full_mask()), "narrowed": (changed, mask)},
            batch=given.batch,
            length=given.length,
            engine=engine,
            rounds=given.rounds,
        )
        cells = [TITLES[engine]]
        for one in (timed.milliseconds("unpruned"), timed.milliseconds("narrowed")):
            cells.append(f"{one.value:.1f} ({one.low:.1f} … {one.high:.1f})")
        faster = timed.speed_up("narrowed")
        cells.append(f"{faster.value:.2f} ({faster.low:.2f} … {faster.high:.2f})")
        cells.append(f"{faster.value / bound:.0%}")
        if given.table:
            timing = Timing(engine, given.batch, given.length)
            cells.append(f"{predicted(classifier, mask, timing):.2f}")
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"{timed.threads} threads, {given.rounds} rounds")


def predicted(classifier: Classifier, mask: HeadMask, timing: Timing) -> float:
    """How many times as fast a narrowed model is by the table alone, without a look at one."""
    table = measured_table(classifier, timing)
    left = sum(
        float(table.price(layer, "heads", [heads])[0] + table.price(layer, "neurons", [neurons])[0])
        for layer, (heads, neurons) in enumerate(
            zip(mask.kept_per_layer, neurons_kept(classifier.geometry, mask), strict=True)
        )
    )
    return table.whole / (table.rest + left)


if __name__ == "__main__":
    main()
