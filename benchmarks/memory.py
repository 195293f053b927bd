"""Measure the peak memory of ``score`` over ever more sentences of a file.

``python -m benchmarks.memory train.tsv --sentences 5000 20000 67349`` runs the command in a process
of its own for each number and prints what the system says of it. The sentences are drawn at random
from the file, so that every run has sentences of the same lengths.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bhpvas.datasets import Dataset, read_dataset


def measured(command: list[str]) -> tuple[float, float]:
    """Peak resident memory of a command in MB, and its seconds; an error where it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "bhpvas", *command], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"bhpvas {' '.join(command)} ended with {process.returncode}.")
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, kilobytes elsewhere
    return usage.ru_maxrss / unit, time.perf_counter() - begun


def drawn(whole: Dataset, count: int, folder: Path) -> Path:
    """A file of ``count`` sentences drawn with a fixed seed, in their old order."""
    some = whole.take(np.sort(np.random.default_rng(0).permutation(len(whole))[:count]))
    labels = np.array(some.label_names)[some.labels]
    path = folder / f"{count}.parquet"
    pd.DataFrame({"sentence": some.texts, "label": labels}).to_parquet(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="file with labelled sentences")
    parser.add_argument("--model", help="folder or hub id (default: the sample model)")
    parser.add_argument("--sentences", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--criteria", default="importance,stability,similarity")
    given = parser.parse_args()
    whole = read_dataset(given.data)
    print("| sentences | peak memory, MB | minutes | sentences a second |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in given.sentences:
            path = drawn(whole, min(count, len(whole)), Path(folder))
            command = ["score", "--json", "--criteria", given.criteria, "--data", str(path)]
            command += ["--model", given.model] if given.model else []
            peak, seconds = measured(command)
            rows = min(count, len(whole))
            print(
                f"| {rows:,} | {peak:,.0f} | {seconds / 60:.1f} | {rows / seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
