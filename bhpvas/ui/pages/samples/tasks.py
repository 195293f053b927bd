"""Tasks of the Samples page: states, the map, where sentences move, importance of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from textwrap import shorten, wrap
from typing import Any, Literal

import numpy as np
import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.charts.sentence_map import MANY
from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.groups import GroupComparison, compare_groups, importance_shares
from bhpvas.evaluation.slices import Grouping, groupings, sentence_table, slice_table
from bhpvas.interpret.sentence_map import FEWEST_FOR_UMAP, Components, pca_map, umap_map
from bhpvas.model.engine import first_states
from bhpvas.ui.jobs import measuring, models, runner, tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state.session import Session, Variant

Kind = Literal["share", "amount"]


@dataclass(frozen=True, eq=False)
class MeasuredStates:
    """The sentences that are looked at, evaluated without pruning and under the current scheme.

    ``pruned`` says whether the scheme changes the model at all.
    """

    data: Dataset
    before: Evaluation
    after: Evaluation
    lengths: np.ndarray
    key: str
    pruned: bool

    @cached_property
    def table(self) -> pd.DataFrame:
        """Every sentence with both answers."""
        return sentence_table(self.data, self.before, self.after, self.lengths)

    @cached_property
    def groupings(self) -> dict[str, Grouping]:
        """Every way to slice the sentences."""
        return groupings(self.data, self.before.task, self.lengths)

    def slices(self, grouping: str) -> pd.DataFrame:
        """What the scheme does to each slice."""
        return runner.shared().quick(
            ("slices", self.key, grouping),
            lambda: slice_table(self.groupings[grouping], self.before, self.after),
        )

    @cached_property
    def hover(self) -> list[str]:
        """What each sentence's point says under the pointer."""
        rows = self.table.to_dict("records")
        if len(self.data) >= MANY:  # all of it travels with the map, so each says little
            short = [
                f"{shorten(_text(r), 48, placeholder=' …')} · {_said(r['label'])}" for r in rows
            ]
            return [escape(said, quote=False) for said in short]
        return [_hover_text(row, self.pruned) for row in rows]


def selected(session: Session) -> np.ndarray:
    """Which of the sentences looked at are selected: bool ``[N]``."""
    chosen = np.zeros(len(session.looked_at), dtype=bool)
    chosen[[place for place in session.sentences if place < len(chosen)]] = True
    return chosen


def _text(row: dict[str, Any]) -> str:
    return row["sentence"] if "pair" not in row else f"{row['sentence']} | {row['pair']}"


def _hover_text(row: dict[str, Any], pruned: bool) -> str:
    lines = wrap(_text(row), 56, max_lines=4, placeholder=" …")
    models = _with_confidence(row, "before")
    if pruned:
        models += f" {text.ARROW} {_with_confidence(row, 'after')}"
    tag = f" · {escape(row['tag'])}" if "tag" in row else ""
    content = "<br>".join(map(escape, lines))
    return f"{content}<br><b>{escape(_said(row['label']))}</b>{tag}<br>{escape(models)}"


def _said(answer: str | float) -> str:
    """A label, a set of labels or a score of the table in words."""
    return answer if isinstance(answer, str) else f"{answer:.4g}"


def _with_confidence(row: dict[str, Any], when: str) -> str:
    """What a model answers, of one label with its probability."""
    name = f"confidence {when}"
    return f"{_said(row[when])} {row[name]:.2f}" if name in row else _said(row[when])


def measured(session: Session) -> MeasuredStates | None:
    """Both evaluations with what follows from them, once they are there."""
    data = session.looked_at
    start = measuring.evaluating(session, session.start, data=data)
    now = measuring.evaluating(session, session.now, data=data)
    before, after = tasks.want(start), tasks.want(now)
    if before is None or after is None:
        return None
    # The fingerprint leaves out the file's own columns, by which sentences are sliced.
    columns = hash(tuple(data.groups.items()))
    key = f"{start.key} {now.key} {columns}"
    pruned = session.now != session.start
    return _together(key, pruned, data, before, after, models.lengths(session, data))


@st.cache_resource(show_spinner=False, max_entries=8)
def _together(
    key: str,
    pruned: bool,
    _data: Dataset,
    _before: Evaluation,
    _after: Evaluation,
    _lengths: np.ndarray,
) -> MeasuredStates:
    return MeasuredStates(_data, _before, _after, _lengths, key, pruned)


# --- the map --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Places:
    """Where sentences lie ``[N, 2]`` without pruning and, once known, under the scheme.

    ``follows`` is whether UMAP is still to take the place of ``method``.
    """

    method: str
    before: np.ndarray
    after: np.ndarray | None
    follows: bool


def places(session: Session, layer: int) -> Places | None:
    """The map at a layer: by PCA as soon as the states are there, by UMAP once it is done."""
    states = _of_states(session, layer, session.start, "components", _components)
    found = tasks.want(states)
    if found is None:
        return None
    components, coordinates = found
    best = _umap(session, layer, coordinates)
    better = best and tasks.want(best)
    chart = better or pca_map(coordinates)
    after: np.ndarray | None = chart.places
    if session.now != session.start:
        make = components.coordinates
        moved = tasks.want(_of_states(session, layer, session.now, "coordinates", make))
        after = None
        if moved is not None:
            key = ("moved", chart.method, states.key, session.now)
            after = runner.shared().quick(key, lambda: chart.moved(moved))
    follows = best is not None and better is None and best.key not in session.cancelled
    return Places(chart.method, chart.places, after, follows)


def _components(states: np.ndarray) -> tuple[Components, np.ndarray]:
    """The components of states ``[N, D]``, and the coordinates of these along them."""
    components = Components.of(states)
    return components, components.coordinates(states)


def _of_states(
    session: Session, layer: int, variant: Variant, what: str, make: Callable[[np.ndarray], Any]
) -> Task:
    """What is made, under the name ``what``, of the [CLS] states ``[N, D]`` at a layer."""
    data = session.looked_at
    model = "the unpruned model" if variant == session.start else "the pruned model"

    def do(job: Job) -> Any:
        classifier = models.classifier_of(session, variant)
        encoded = classifier.encode(data)
        states = first_states(classifier, encoded, variant.mask, layers=[layer], progress=job)
        return make(states[0])

    return Task(
        key=models.lasting(what, session, variant, data, layer=layer),
        description=f"Reading {text.plural(len(data), 'sentence')} with {model} "
        f"up to layer {layer}",
        work=do,
        turn=3,
    )


def _umap(session: Session, layer: int, coordinates: np.ndarray) -> Task | None:
    if len(coordinates) < FEWEST_FOR_UMAP:
        return None
    return Task(
        key=models.lasting("umap", session, session.start, session.looked_at, layer=layer),
        description=f"Placing {text.plural(len(coordinates), 'sentence')} by UMAP",
        work=lambda job: umap_map(coordinates, progress=job),
        turn=6,
    )


# --- heads that matter for some -------------------------------------------------------------------


def comparison(
    session: Session, variant: Variant, kind: Kind = "share", *, ask: bool = True
) -> GroupComparison | None:
    """How the selected sentences differ from the rest in what each head is worth to them.

    None while importance is (if asked for) still to be measured; there must be selected sentences
    and others.
    """
    task, kept = _weighing(session, variant), variant.mask.kept
    scores, chosen = tasks.want(task) if ask else tasks.known(task), selected(session)
    if scores is None:
        return None

    def make() -> GroupComparison:
        values = scores.per_example["importance"]
        values = importance_shares(values, kept) if kind == "share" else values
        return compare_groups(values, chosen, kept)

    return runner.shared().quick(("comparison", task.key, kind, chosen.tobytes()), make)


def _weighing(session: Session, variant: Variant) -> Task:
    task = measuring.scoring(session, variant, ("importance",), data=session.looked_at)
    return replace(task, turn=4)
