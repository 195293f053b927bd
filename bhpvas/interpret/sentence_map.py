"""Sentence map: [CLS] states in two dimensions, before and after pruning.

States are first reduced to their principal components. The map is then either the first two of
these, or UMAP (McInnes, Healy, Melville 2018) of all that were kept: seeded, so that the same
sentences always give the same map, and begun from the principal components, so that a place keeps
its meaning when the one replaces the other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

import numpy as np

from bhpvas.errors import BhpvasError
from bhpvas.progress import Progress, silent

MapMethod = Literal["PCA", "UMAP"]

#: Components that UMAP looks at: the rest of a [CLS] state is little more than noise.
COMPONENTS = 50
#: Neighbours that decide where a sentence lies: the usual choice of UMAP.
NEIGHBOURS = 15
#: With fewer sentences every one is nearly everyone's neighbour, and PCA says more.
FEWEST_FOR_UMAP = 4 * NEIGHBOURS
# The width that UMAP expects of the places it starts from.
_SPREAD = 10.0
# Seconds between two looks at the process that lays out a map.
_LOOK = 0.1


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of some states: ``centre`` ``[D]`` and orthonormal ``axes`` ``[D, K]``.

    ``share`` ``[K]`` is the part of the variance that each explains, falling; it sums to at most 1.
    """

    centre: np.ndarray
    axes: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray, count: int = COMPONENTS) -> Components:
        """The first components of ``states`` ``[N, D]``; each axis' largest entry is positive."""
        from sklearn.decomposition import PCA

        count = max(2, min(count, len(states) - 1, states.shape[1]))
        rows = np.repeat(states, 2, axis=0) if len(states) < 2 else states
        with np.errstate(invalid="ignore"):  # where nothing varies, no axis explains anything
            found = PCA(count, svd_solver="covariance_eigh").fit(rows.astype(np.float64))
        share = np.nan_to_num(found.explained_variance_ratio_)
        return cls(found.mean_, found.components_.T, share)

    def coordinates(self, states: np.ndarray) -> np.ndarray:
        """Where states ``[N, D]`` lie along the axes: float32 ``[N, K]``."""
        return ((states - self.centre) @ self.axes).astype(np.float32)


@dataclass(frozen=True, eq=False)
class SentenceMap:
    """Places of sentences on a map: ``places`` ``[N, 2]``, made from ``coordinates`` ``[N, K]``."""

    method: MapMethod
    coordinates: np.ndarray
    places: np.ndarray

    def moved(self, coordinates: np.ndarray) -> np.ndarray:
        """Where the same sentences lie once their states have changed: ``[N, 2]``.

        On a PCA map that is exact. On a UMAP map a state lies at the weighted mean of its nearest
        unpruned neighbours' places, which is where UMAP's own transform starts, and a sentence
        moves by the difference of that mean. So one whose state did not change does not move, which
        the random steps of the transform would not grant.
        """
        if self.method == "PCA":
            return coordinates[:, :2]
        return self.places + self._among(coordinates) - self._before

    @cached_property
    def _before(self) -> np.ndarray:
        return self._among(self.coordinates)

    def _among(self, coordinates: np.ndarray) -> np.ndarray:
        near, distance = nearest(self.coordinates, coordinates, NEIGHBOURS)
        # The kernel's width is the neighbourhood's own, so it is as wide where sentences are rare.
        weight = np.exp(-distance / np.maximum(distance.mean(1, keepdims=True), 1e-12))
        weight /= weight.sum(1, keepdims=True)
        return np.einsum("nk,nkd->nd", weight, self.places[near])


def pca_map(coordinates: np.ndarray) -> SentenceMap:
    """The map by the first two principal components."""
    return SentenceMap("PCA", coordinates, coordinates[:, :2])


def umap_map(coordinates: np.ndarray, *, seed: int = 0, progress: Progress = silent) -> SentenceMap:
    """The map by UMAP of all components; at least :data:`FEWEST_FOR_UMAP` sentences.

    UMAP runs in a process of its own (:mod:`bhpvas.interpret.umap_layout`), which takes some
    seconds to compile itself; then progress counts the epochs of the layout. What ``progress``
    raises ends that process. Raises :class:`BhpvasError` where it fails.

    Where all states are equal, or lie on a line exactly, it is the map by PCA: umap-learn 0.5.12
    divides by how far apart the places are that it begins from, and gives none.
    """
    assert len(coordinates) >= FEWEST_FOR_UMAP, "too few sentences for UMAP: use pca_map"
    progress(0, 1)
    start = coordinates[:, :2] - coordinates[:, :2].mean(0)
    if not np.ptp(start, axis=0).all():
        return pca_map(coordinates)
    near, distance = nearest(coordinates, coordinates, NEIGHBOURS)
    start = _SPREAD * start / max(float(np.abs(start).max()), 1e-12)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        np.savez(
            given, coordinates=coordinates, start=start, near=near.astype(np.int32),
            distance=distance,
        )  # fmt: skip
        given.seek(0)
        _lay_out(seed, given, answer, progress)
        answer.seek(0)
        places = np.load(answer, allow_pickle=False)
    return SentenceMap("UMAP", coordinates, places)


def _lay_out(seed: int, given: IO[bytes], answer: IO[bytes], progress: Progress) -> None:
    """Run the other process to its end, and tell of the epochs that it tells of."""
    here = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, "-m", "bhpvas.interpret.umap_layout", str(seed)],
        stdin=given,
        stdout=answer,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, here))},
    )
    epochs, words = [(0, 1)], list[str]()
    stream = child.stderr
    assert stream is not None

    def listen() -> None:
        for line in stream:
            counts = line.split()
            if len(counts) == 2 and all(map(str.isdecimal, counts)):
                epochs.append((int(counts[0]), int(counts[1])))
            else:
                words.append(line)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        while child.poll() is None:
            progress(*epochs[-1])
            with suppress(subprocess.TimeoutExpired):
                child.wait(_LOOK)
    finally:
        child.kill()
        child.wait()
        listener.join()
        stream.close()
    if child.returncode:
        reason = "".join(words).strip().rpartition("\n")[2]
        raise BhpvasError(f"UMAP did not end ({reason or child.returncode}): PCA shows the map.")
    progress(*epochs[-1])


def nearest(among: np.ndarray, of: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` nearest rows of ``among`` to each row of ``of``, nearest first.

    Their numbers, int64, and Euclidean distances, float32, each ``[len(of), count]``. A tree
    computes them, so a row's distance from itself is exactly 0, as UMAP expects.
    """
    from sklearn.neighbors import NearestNeighbors

    distances, numbers = NearestNeighbors(algorithm="ball_tree").fit(among).kneighbors(of, count)
    return numbers, distances.astype(np.float32)
