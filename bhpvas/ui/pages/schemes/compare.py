"""Two to four steps side by side: heads, metrics, sentences, slices, and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape

import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.charts.flip_patterns import flip_patterns as flips_figure
from bhpvas.charts.kept_map import kept_map, small_size
from bhpvas.charts.model_measures import UNPRUNED, measures_of
from bhpvas.charts.slice_grid import slice_grid
from bhpvas.charts.step_texts import briefly, weights_origin
from bhpvas.data.tables import csv_text
from bhpvas.evaluation.comparison import (
    flip_patterns,
    flip_table,
    headline_change,
    measures,
    pairwise,
)
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.learnt_from import LearntFrom
from bhpvas.evaluation.slices import Grouping, groupings, slice_table
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.cost import speed_bound
from bhpvas.model.latency import Latencies
from bhpvas.scheme.scheme import Scheme
from bhpvas.tasks.base import Metric, Task
from bhpvas.ui.jobs import learnt, measuring, models, runner, tasks
from bhpvas.ui.pages.export import texts as export_texts
from bhpvas.ui.pages.samples import texts as samples_texts
from bhpvas.ui.pages.schemes import texts
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import controls, figures, help, tables
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.feed_forward import feed_forward
from bhpvas.ui.widgets.latency import latencies

FEWEST, MOST = 2, 4
#: Sentences that are listed at once.
MOST_SENTENCES = 100


@dataclass(frozen=True, eq=False)
class Compared:
    """The steps that are compared, by their letters, evaluated on the same sentences."""

    steps: dict[str, int]
    unpruned: Evaluation
    evaluations: dict[str, Evaluation]

    @property
    def task(self) -> Task:
        """What the outputs of the models answer."""
        return self.unpruned.task

    @property
    def with_start(self) -> dict[str, int]:
        """The steps by their letters, the start first, as the unpruned model."""
        return {UNPRUNED: 0, **self.steps}

    @property
    def with_unpruned(self) -> dict[str, Evaluation]:
        """The evaluations, that of the unpruned model first."""
        return {UNPRUNED: self.unpruned, **self.evaluations}

    @cached_property
    def flipped(self) -> pd.DataFrame:
        """Every sentence that at least one of them answers unlike the unpruned model."""
        return flip_table(self.unpruned, self.evaluations)

    @property
    def disputed(self) -> frozenset[HeadId]:
        """The heads that some of them keep and some do not."""
        removed = [one.mask.removed for one in self.evaluations.values()]
        return frozenset.union(*removed) - frozenset.intersection(*removed)


def view(session: Session) -> None:
    """Choose steps, then everything in which they differ."""
    chosen = _choice(session)
    if len(chosen) < FEWEST:
        only_start = "There is only the start so far: remove some in the Workbench, or Propose."
        few = len(session.scheme.steps) < FEWEST
        st.caption(only_start if few else "Choose at least two steps.")
        return
    found = _measured(session, chosen)
    if found is None:
        st.skeleton(320)
        return
    _maps(found, session)
    _metrics(found, session)
    left, right = st.columns(2, gap="large")
    with left:
        _flips(found)
    with right:
        _slices(found, session)
    _sentences(found, session)
    _latency(found, session)


def _choice(session: Session) -> list[int]:
    """The steps to compare: by default the ends of the newest branches."""
    scheme = session.scheme
    known = [step.id for step in scheme.steps]
    state = st.session_state
    kept = [step for step in state.get("compared", ()) if step in known]
    if "compared" not in state or kept != list(state["compared"]):
        state["compared"] = kept if len(kept) >= FEWEST else suggested(scheme)
    return st.multiselect(
        f"Steps to compare, {FEWEST} to {MOST}",
        known,
        key="compared",
        max_selections=MOST,
        format_func=partial(_named, scheme),
        persist_state="session",
    )


def suggested(scheme: Scheme) -> list[int]:
    """What there is to compare at first: the current step and where the newest branches ended.

    Where there is no other end, the current step and the one before it.
    """
    ends = [path[-1].id for path in scheme.branches() if path[-1].id != scheme.current]
    chosen = [scheme.current, *reversed(ends)]
    if len(chosen) < FEWEST and (parent := scheme.step(scheme.current).parent) is not None:
        chosen.append(parent)
    return sorted(chosen[:MOST])


def _named(scheme: Scheme, number: int) -> str:
    step = scheme.step(number)
    said = f"{number} · {_kept(scheme.mask_at(number))} · {briefly(step)}"
    return f"{said} · {step.note[:24]}" if step.note else said


def _kept(mask: HeadMask) -> str:
    """How many heads are kept, and how many neurons where some are gone."""
    return f"{mask.kept_count if mask.neurons is None else text.kept_briefly(mask)} kept"


def _measured(session: Session, chosen: list[int]) -> Compared | None:
    wanted = {
        step: tasks.want(measuring.evaluating(session, session.at(step))) for step in (0, *chosen)
    }
    if any(one is None for one in wanted.values()):
        return None
    letters = dict(zip("ABCD", chosen, strict=False))
    return Compared(letters, wanted[0], {letter: wanted[step] for letter, step in letters.items()})


def _maps(found: Compared, session: Session) -> None:
    every = session.mask.layers * session.mask.heads
    masks = [one.mask for one in found.evaluations.values()]
    everywhere = every - len(frozenset.union(*(mask.removed for mask in masks)))
    nowhere = len(frozenset.intersection(*(mask.masked for mask in masks)))
    help.heading(
        "What is kept",
        f"Heads. Pale: alike in all, {everywhere} kept and {nowhere} removed everywhere. Blue: "
        f"kept here and not in all; red cross: removed here and not in all ({len(found.disputed)} "
        "heads). At the right, feed-forward parts, filled as far as they are kept.",
        ("Difference of head maps", texts.KEPT),
        key="compare-maps",
    )
    size = session.mask.layers, session.mask.heads
    width, height = small_size(*size, feed_forward=not session.heads_only)
    with st.container(horizontal=True, gap="medium", key="kept-maps"):
        for letter, step in found.steps.items():
            with st.container(width=width + 8, gap="xsmall"):
                mask = session.scheme.mask_at(step)
                st.html(
                    f'<div class="letter"><b>{letter}</b> step {step}, {_kept(mask)}'
                    f"<small>{_about(session.scheme, step)}</small></div>"
                )
                figures.chart(
                    kept_map(mask, found.disputed, feed_forward=feed_forward(session, mask)),
                    key=f"kept-{letter}",
                    width=width,
                    height=height,
                    alt=f"Kept by {letter}: {text.kept(mask)}",
                )


def _about(scheme: Scheme, number: int) -> str:
    step = scheme.step(number)
    weights = weights_origin(scheme, number)
    said = briefly(step)
    if weights is not None and step.what != "recover":
        said += f", {weights}"
    return escape(f"{said}, {step.note}" if step.note else said)


def _metrics(found: Compared, session: Session) -> None:
    help.heading(
        "Measures",
        "With 95% intervals; changes are against the unpruned model on the same sentences.",
        ("Measures", texts.measures(found.task)),
        key="compare-measures",
    )
    classifier = models.classifier_named(session.model)
    table = runner.shared().quick(
        ("measures", _key(found, session)),
        lambda: measures(classifier, found.with_unpruned, models.lengths(session)),
    )
    rows = table.set_index("scheme")
    origins = {letter: learnt.counted(session, step) for letter, step in found.with_start.items()}
    _warn(origins, found)
    shown = measures_of(found.unpruned)
    every = [
        tables.row(title, *(said(row) for _, row in rows.iterrows()))
        for title, said in shown.items()
    ]
    after = next(at for at, title in enumerate(shown, 1) if title.startswith("Change"))
    every[after:after] = _learnt_rows([origins[name] for name in rows.index], found.task.headline)
    tables.reading_table(["", *rows.index], every, height=540)
    tests = pairwise(found.evaluations)
    said = (_pair_test(row, len(tests), found.task) for _, row in tests.iterrows())
    st.markdown("  \n".join(said))
    counts = [None if one is None else one.record()["learnt_from"] for one in origins.values()]
    table = table.assign(learnt_from=pd.array(counts, dtype="Int64"))
    download("Download as CSV", csv_text(table), "compared.csv")


def _learnt_rows(origins: Sequence[LearntFrom | None], metric: Metric) -> list[list[str]]:
    """How many sentences each learnt from, and its headline on the others, where any did."""
    if not any(one is not None and one.known for one in origins):
        return []
    known, values, changes = [], [], []
    for one in origins:
        known.append(text.NOTHING if one is None else _known(one))
        if one is None or one.unseen is None or one.unpruned is None:
            values.append((text.NOTHING, ""))
            changes.append((text.NOTHING, ""))
            continue
        value, *ends = one.unseen.headline
        interval = f"{metric.interval_text(*ends)} of {one.unseen.n:,}".lstrip()
        values.append((metric.value_text(value), interval))
        change, low, high, _ = headline_change(one.unpruned, one.unseen)
        said = metric.change_text(change).removesuffix(" points")
        changes.append((said, metric.change_interval_text(low, high)))
    return [
        tables.row("Sentences learnt from", *known),
        tables.row(f"{metric.title} on the others", *values),
        tables.row("Change on the others", *changes),
    ]


def _known(origin: LearntFrom) -> str:
    if not origin.unknown:
        return f"{origin.known:,}"
    return f"at least {origin.known:,}" if origin.known else "not known"


def _warn(origins: Mapping[str, LearntFrom | None], found: Compared) -> None:
    """Which of the steps were measured on sentences that they learnt from."""
    learnt_from = {name: one for name, one in origins.items() if one is not None and one.known}
    unknown = [name for name, one in origins.items() if one is not None and one.unknown]
    if learnt_from:
        counts = ", ".join(f"{one.known:,} by {name}" for name, one in learnt_from.items())
        st.warning(
            f"Of the {text.plural(found.unpruned.n, 'sentence')} some were learnt from ({counts}): "
            f"there {'accuracies' if found.unpruned.is_single_label else 'metrics'}, changes and "
            "tests may look better than they are."
        )
    if unknown:
        st.caption(
            f"Which sentences {' and '.join(unknown)} learnt from is not kept: the figures are "
            "fair as long as these are none of them."
        )


def _key(found: Compared, session: Session) -> tuple[object, ...]:
    variants = tuple((letter, session.at(step)) for letter, step in found.steps.items())
    return (*models.named(session, session.start), variants, session.data.evaluation.fingerprint)


def _pair_test(row: pd.Series, pairs: int, task: Task) -> str:
    metric, (lost, gained) = task.headline, task.became
    corrected = f", corrected for {text.plural(pairs, 'pair')}" if pairs > 1 else ""
    return (
        f"**{row['first']} {text.ARROW} {row['second']}:** "
        f"{'' if metric.share else f'{metric.title} '}{metric.change_text(row['change'])} "
        f"{metric.change_interval_text(row['low'], row['high'])}, {row['lost']} {lost}, "
        f"{row['gained']} {gained}, {row['apart']} answered differently "
        f":small[{text.p_value(row['corrected'])}, {task.test_in_brackets}{corrected}]"
    )


def _flips(found: Compared) -> None:
    help.heading(
        "Flips in common and apart",
        "Sentences that the steps marked below a bar, and no other, answer differently from the "
        "unpruned model. Red lost, blue gained. Click a bar to list them.",
        ("Flips", texts.flips(found.task)),
        key="compare-flips",
    )
    patterns = flip_patterns(found.flipped)
    if patterns.empty:
        st.caption("No step changes any answer.")
        return
    letters, steps = list(found.steps), tuple(found.steps.values())
    chosen = _pattern(found, len(patterns))
    figure = flips_figure(patterns, letters, chosen=chosen, became=found.task.became)
    figures.chart(
        figure,
        key="flips-chart",
        on_select=partial(_pattern_clicked, steps=steps),
        selection_mode="points",
        height=int(figure.layout.height),
        alt=f"Sentences flipped by each of {text.plural(len(patterns), 'set')} of steps",
    )
    st.session_state["flips-of"] = chosen
    st.selectbox(
        "List the sentences flipped by",
        range(len(patterns)),
        index=None,
        key="flips-of",
        format_func=lambda place: f"{_members(patterns, place, letters)} alone",
        placeholder="at least one",
        on_change=_pattern_named,
        kwargs={"steps": steps},
    )


def _members(patterns: pd.DataFrame, place: int, letters: list[str]) -> str:
    flipping = patterns.loc[place, letters].astype(bool)
    return " and ".join(flipping.index[flipping])


def _pattern(found: Compared, count: int) -> int | None:
    """The bar that was clicked, where it is one of these steps."""
    steps, place = st.session_state.get("flip-pattern", ((), 0))
    return place if steps == tuple(found.steps.values()) and place < count else None


def _pattern_clicked(*, steps: tuple[int, ...]) -> None:
    points = st.session_state["flips-chart"].selection.points
    if points:
        clicked = (steps, int(points[0]["customdata"][0]))
        again = st.session_state.get("flip-pattern") == clicked
        st.session_state["flip-pattern"] = ((), 0) if again else clicked


def _pattern_named(*, steps: tuple[int, ...]) -> None:
    """The keyboard's way to a bar."""
    place = st.session_state["flips-of"]
    st.session_state["flip-pattern"] = ((), 0) if place is None else (steps, place)


def _sentences(found: Compared, session: Session) -> None:
    table, letters = found.flipped, list(found.steps)
    if table.empty:
        return
    patterns = flip_patterns(table)
    place = _pattern(found, len(patterns))
    which = "by at least one"
    if place is not None:
        members = patterns.loc[place, letters].astype(bool)
        table = table[(table[letters] == members).all(axis=1)]
        which = f"by {_members(patterns, place, letters)} alone"
    help.heading(
        "Flipped sentences",
        f"{text.plural(len(table), 'sentence')} flipped {which}"
        + ("; the number is the probability of the answer" * found.unpruned.is_single_label)
        + ".",
        ("Flips", texts.flips(found.task)),
        key="flipped-sentences",
    )
    data = session.data.evaluation
    tables.reading_table(
        ["", "Sentence", "Label", *found.with_unpruned],
        [
            [
                tables.name(str(row["outcome"])),
                tables.text(data.texts[at] + (f" | {data.pairs[at]}" if data.pairs else "")),
                _answer(found.unpruned, at, truth=True),
                *(_answer(one, at) for one in found.with_unpruned.values()),
            ]
            for at, row in table.head(MOST_SENTENCES).iterrows()
        ],
        height=260,
    )
    if len(table) > MOST_SENTENCES:
        st.caption(f"The first {MOST_SENTENCES}; the Samples page lists all of one step.")


def _answer(of: Evaluation, at: int, *, truth: bool = False) -> str:
    answers = of.labels if truth else of.predictions
    if not of.is_single_label:
        return tables.text(of.task.words(answers[[at]])[0])
    answer = int(answers[at])
    aside = "" if truth else f"{of.probabilities[at, answer]:.2f}"
    return tables.label(answer, of.label_names[answer], aside)


def _slices(found: Compared, session: Session) -> None:
    help.heading(
        "Cost by slice",
        "Change against the unpruned model, worst hit on top; a dot: beyond chance, corrected for "
        "the number of slices.",
        ("Slices", samples_texts.slices(found.task)),
        key="compare-slices",
    )
    ways = groupings(session.data.evaluation, found.task, models.lengths(session))
    with st.container(horizontal=True, gap="small"):
        titles = {name: one.title for name, one in ways.items()}
        by, metric = controls.slice_controls(titles, found.task, "compare", width=170)
    figure = slice_grid(_slice_tables(found, session, by, ways[by]), found.task, metric)
    height = int(figure.layout.height)
    with st.container(height=min(height, 372), border=False):
        figures.chart(
            figure,
            key="slice-grid",
            height=height,
            alt=f"Change of {metric.title_in_text} by {ways[by].title.lower()} under each step",
        )


def _slice_tables(
    found: Compared, session: Session, by: str, grouping: Grouping
) -> dict[str, pd.DataFrame]:
    # The fingerprint of the data leaves out the file's own columns.
    groups = grouping.names, grouping.codes.tobytes()
    return runner.shared().quick(
        ("slice tables", by, groups, _key(found, session)),
        lambda: {
            letter: slice_table(grouping, found.unpruned, one)
            for letter, one in found.evaluations.items()
        },
    )


def _latency(found: Compared, session: Session) -> None:
    help.heading(
        "Measured latency",
        "One pass of the model with what is gone really removed, in turn with the unpruned one.",
        ("Measured latency", export_texts.LATENCY),
        key="latency",
    )
    known, _ = latencies(session, list(found.steps.values()))
    if known is not None:
        _times(found, known, session)


def _times(found: Compared, known: Latencies, session: Session) -> None:
    geometry = models.classifier_named(session.model).geometry
    rows = []
    for name, step in found.with_start.items():
        bound = speed_bound(geometry, session.scheme.mask_at(step), [known.length])
        times = "1" if step == 0 else text.median(*known.speed_up(str(step)), 2)
        milliseconds = text.median(*known.milliseconds(str(step)), 1)
        rows.append(tables.row(name, milliseconds, times, f"{bound:.2f}"))
    tables.reading_table(
        ["", "Milliseconds", "Times as fast", "At most by FLOPs"], rows, height=220
    )
    st.caption(
        f"Medians of {text.plural(len(known.seconds), 'round')} with 95% intervals: "
        f"{text.plural(known.batch, 'sentence')} of {text.plural(known.length, 'token')}, "
        f"{known.device}, {text.plural(known.threads, 'thread')}."
    )
