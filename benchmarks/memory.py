"""Measure the peak memory of ``score``, or of a recovery, over ever more sentences of a file.

``python -m benchmarks.memory train.tsv --sentences 5000 20000 67349`` runs the command in a process
of its own for each number and prints what the system says of it. The sentences are drawn at random
from the file, so that every run has sentences of the same lengths; where there are not enough, some
are drawn more than once. With ``--read-only`` they are read and put into tokens, and no more; with
``--recover`` every second head is removed and the rest compensated.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset

_ROWS_AT_ONCE = 10_000
# What the model is fed with, all by itself.
_READING = """
import sys, bhpvas
data = bhpvas.read_dataset(sys.argv[1])
bhpvas.load_classifier(*sys.argv[2:]).encode(data)
"""
_RECOVERING = """
import sys, bhpvas
data, classifier = bhpvas.read_dataset(sys.argv[1]), bhpvas.load_classifier(*sys.argv[2:])
full = classifier.full_mask()
bhpvas.recover(classifier, data, full.without(list(full)[::2]))
"""


def measured(arguments: list[str]) -> tuple[float, float]:
    """Peak resident memory of Python in MB, and its seconds; an error where it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"python {' '.join(arguments)} ended with {process.returncode}.")
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, kilobytes elsewhere
    return usage.ru_maxrss / unit, time.perf_counter() - begun


def anonymous_gigabytes() -> float:
    """Memory of this process without mapped files; not a number where the system is no Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    return int(status.read_text().split("RssAnon:")[1].split()[0]) * 1024 / 1e9


@contextmanager
def watched_memory() -> Iterator[list[float]]:
    """Anonymous memory of this process in GB: before, then ten times a second while this lasts."""
    found, done = [anonymous_gigabytes()], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            found.append(anonymous_gigabytes())

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield found
    finally:
        done.set()
        watching.join()


def drawn(whole: Dataset, count: int, folder: Path) -> Path:
    """A file of ``count`` sentences drawn with a fixed seed, in their old order."""
    draw = np.random.default_rng(0)
    again = draw.integers(len(whole), size=max(count - len(whole), 0))
    rows = np.sort(np.append(draw.permutation(len(whole))[:count], again))
    path = folder / f"{count}.csv"
    # A little at a time: what this process holds, the system counts for those that it starts.
    for start in range(0, count, _ROWS_AT_ONCE):
        some = whole.take(rows[start : start + _ROWS_AT_ONCE])
        frame = pd.DataFrame({"sentence": some.texts, "label": some.labels})
        frame["label"] = frame["label"].map(dict(enumerate(some.label_names)))
        frame.to_csv(path, index=False, header=start == 0, mode="a")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="file with labelled sentences")
    parser.add_argument("--model", help="folder or hub id (default: the sample model)")
    parser.add_argument("--sentences", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--criteria", default="importance,stability,similarity")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--read-only", action="store_true", help="read and tokenise, no more")
    instead.add_argument("--recover", action="store_true", help="compensate instead of score")
    given = parser.parse_args()
    model = [given.model] if given.model else []
    whole = read_dataset(given.data)
    print("| sentences | peak memory, MB | minutes | sentences a second |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in given.sentences:
            path = str(drawn(whole, count, Path(folder)))
            command = ["-m", "bhpvas", "score", "--json", "--criteria", given.criteria]
            command += ["--data", path, *(["--model", *model] if model else [])]
            if given.read_only or given.recover:
                script = _READING if given.read_only else _RECOVERING
                command = ["-c", script, path, *model]
            peak, seconds = measured(command)
            print(
                f"| {count:,} | {peak:,.0f} | {seconds / 60:.1f} | {count / seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
