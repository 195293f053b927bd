"""UMAP layout: ``python -m bhpvas.interpret.umap_layout`` lays out one map of sentences, and ends.

A process of its own, since UMAP compiles itself for seconds in which no other thread of Python
moves, and what it compiled would take 0.2 GB for as long as the process lives.

Reads an ``.npz`` of :func:`numpy.savez` from its input: ``coordinates`` ``[N, K]``, ``start``
``[N, 2]``, and ``near`` and ``distance`` ``[N, neighbours]``. Writes the places ``[N, 2]`` as
``.npy`` to its output; its error output says how many epochs of how many are done, line by line.
"""

from __future__ import annotations

import io
import sys
import warnings

import numpy as np


def main() -> None:
    """Lay out what stands on the input with the seed that is the only argument."""
    given = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    # What it prints itself is no answer.
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    from umap import UMAP

    with warnings.catch_warnings():
        # That new states cannot be transformed: SentenceMap.moved() does that.
        warnings.filterwarnings("ignore", message=".*knn_search_index.*")
        places = UMAP(
            n_neighbors=given["near"].shape[1],
            precomputed_knn=(given["near"], given["distance"], None),
            init=given["start"],
            random_state=int(sys.argv[1]),
            n_jobs=1,
            verbose=False,
            tqdm_kwds={
                "bar_format": "{n} {total}\n",
                "disable": False,
                "mininterval": 0.1,
                "miniters": 1,
                "leave": False,
            },
        ).fit_transform(given["coordinates"])
    np.save(answers, np.asarray(places, dtype=np.float32))


if __name__ == "__main__":
    main()
