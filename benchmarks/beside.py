"""Measure what an evaluation takes alone and beside a second one: ``python -m benchmarks.beside``.

Once as OpenMP waits by itself, and once as bhpvas lets it wait (``bhpvas/model/threads.py``). The
second process is what a person's own work is to the app, or the browser that shows it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

# Says how long one evaluation took, after one that only warms up, once all others are ready, too.
_EVALUATION = """
import sys, time, bhpvas
classifier, data = bhpvas.load_classifier(), bhpvas.sample_splits().evaluation
bhpvas.evaluate(classifier, data.take(range(32)))
print("ready", flush=True)
sys.stdin.readline()
begun = time.perf_counter()
bhpvas.evaluate(classifier, data)
print(time.perf_counter() - begun)
"""


def seconds(count: int, policy: str) -> float:
    """How long the slowest of ``count`` evaluations takes that begin at the same time."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": policy} if policy else {}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _EVALUATION],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return max(float(process.communicate()[0]) for process in processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    kinds = [(policy, count) for policy in ("", "PASSIVE") for count in (1, 2)]
    found: dict[tuple[str, int], list[float]] = {kind: [] for kind in kinds}
    for _ in range(given.rounds):
        for policy, count in kinds:
            found[policy, count].append(seconds(count, policy))
    print("| evaluations at once | waiting | seconds (median) | min – max |\n|---|---|---|---|")
    for (policy, count), times in found.items():
        waiting = "asleep" if policy else "as OpenMP does by itself"
        spread = f"{min(times):.2f} – {max(times):.2f}"
        print(f"| {count} | {waiting} | {statistics.median(times):.2f} | {spread} |")


if __name__ == "__main__":
    main()
