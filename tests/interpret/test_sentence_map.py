"""The map of sentences: components by the textbook, seeded places, moves that start at nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.errors import BhpvasError
from bhpvas.interpret.sentence_map import (
    FEWEST_FOR_UMAP,
    Components,
    SentenceMap,
    nearest,
    pca_map,
    umap_map,
)
from bhpvas.progress import Cancelled


@pytest.fixture(scope="module")
def states() -> np.ndarray:
    """Two groups of 40, twelve apart along the first of 20 dimensions."""
    random = np.random.default_rng(0)
    found = random.normal(size=(80, 20)).astype(np.float32)
    found[:40, 0] += 12
    return found


@pytest.fixture(scope="module")
def coordinates(states: np.ndarray) -> np.ndarray:
    return Components.of(states).coordinates(states)


@pytest.fixture(scope="module")
def heard() -> list[tuple[int, int]]:
    """What the layout of :func:`umap` told of its progress, once that is there."""
    return []


@pytest.fixture(scope="module")
def umap(coordinates: np.ndarray, heard: list[tuple[int, int]]) -> SentenceMap:
    return umap_map(coordinates, progress=lambda done, total: heard.append((done, total)))


def test_components_are_the_singular_vectors(states: np.ndarray) -> None:
    found = Components.of(states, count=5)
    centred = states - states.mean(0)
    _, sizes, rows = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    assert np.abs(np.sum(found.axes.T * rows[:5], axis=1)) == pytest.approx(np.ones(5), abs=1e-6)
    assert found.share == pytest.approx((sizes**2 / (sizes**2).sum())[:5], rel=1e-5)
    largest = np.abs(found.axes).argmax(0)
    assert (found.axes[largest, range(5)] > 0).all()


def test_more_sentences_than_components_and_fewer(states: np.ndarray) -> None:
    assert Components.of(states, count=50).axes.shape == (20, 20)
    assert Components.of(states[:4], count=50).axes.shape == (20, 3)
    assert np.isfinite(Components.of(states[:1]).coordinates(states)).all()


def test_coordinates_keep_distances(states: np.ndarray, coordinates: np.ndarray) -> None:
    apart = np.linalg.norm(states[:10, None] - states[None, :10], axis=2)
    assert np.linalg.norm(coordinates[:10, None] - coordinates[None, :10], axis=2) == pytest.approx(
        apart, abs=1e-4
    )


def test_nearest_is_the_sorted_list_of_all_distances() -> None:
    random = np.random.default_rng(1)
    among, of = random.normal(size=(70, 3)), random.normal(size=(600, 3)) + 100
    numbers, distances = nearest(among, of, 7)
    for row in range(0, 600, 37):
        every = np.sqrt(((among - of[row]) ** 2).sum(1))
        assert numbers[row].tolist() == np.argsort(every)[:7].tolist()
        assert distances[row] == pytest.approx(np.sort(every)[:7], rel=1e-6)


def test_the_pca_map_is_the_first_two_coordinates_before_and_after(coordinates: np.ndarray) -> None:
    found = pca_map(coordinates)
    assert (found.places == coordinates[:, :2]).all()
    assert (found.moved(coordinates + 1) == coordinates[:, :2] + 1).all()


@pytest.mark.slow
def test_umap_is_the_same_every_time(coordinates: np.ndarray, umap: SentenceMap) -> None:
    assert (umap_map(coordinates).places == umap.places).all()
    assert np.isfinite(umap.places).all()


@pytest.mark.slow
def test_umap_keeps_the_groups_apart(umap: SentenceMap) -> None:
    one, other = umap.places[:40], umap.places[40:]
    between = np.linalg.norm(one.mean(0) - other.mean(0))
    assert between > 2 * max(one.std(0).max(), other.std(0).max())


@pytest.mark.slow
def test_who_does_not_change_does_not_move(coordinates: np.ndarray, umap: SentenceMap) -> None:
    changed = coordinates.copy()
    changed[3] = coordinates[60]
    places = umap.moved(changed)
    still = np.arange(80) != 3
    assert places[still] == pytest.approx(umap.places[still], abs=1e-5)
    there = umap.places[40:].mean(0)
    before, after = (np.linalg.norm(one[3] - there) for one in (umap.places, places))
    assert after < 0.5 * before


@pytest.mark.slow
def test_umap_tells_how_far_it_is_and_stops(
    coordinates: np.ndarray, umap: SentenceMap, heard: list[tuple[int, int]]
) -> None:
    assert umap.method == "UMAP"
    assert all(done <= total for done, total in heard)
    assert heard[-1][1] > 1

    def stop(done: int, total: int) -> None:
        if total > 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        umap_map(coordinates, progress=stop)


@pytest.mark.slow
def test_a_layout_that_fails_says_why(coordinates: np.ndarray) -> None:
    with pytest.raises(BhpvasError, match="UMAP did not end"):
        umap_map(coordinates, seed=-1)


def test_too_few_sentences_are_refused(coordinates: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        umap_map(coordinates[: FEWEST_FOR_UMAP - 1])


@pytest.mark.parametrize("axes", [[], [0], [1]], ids=["a point", "a line", "another line"])
def test_states_that_do_not_differ_have_a_place_each(axes: list[int]) -> None:
    coordinates = np.full((FEWEST_FOR_UMAP, 5), 3, dtype=np.float32)
    coordinates[:, axes] += np.arange(FEWEST_FOR_UMAP, dtype=np.float32)[:, None]
    found = umap_map(coordinates)
    assert found.method == "PCA"
    for places in (found.places, found.moved(coordinates)):
        np.testing.assert_array_equal(places, coordinates[:, :2])
