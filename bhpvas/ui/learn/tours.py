"""The case studies as guided tours: a bar over the real pages says what to do and sees it done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import streamlit as st

from bhpvas.charts import words
from bhpvas.heads import HeadId
from bhpvas.schemes import Step
from bhpvas.search import DEFAULT_METHOD, METHODS
from bhpvas.ui import sample_work
from bhpvas.ui.learn import checks
from bhpvas.ui.learn.progress import TOUR, Progress
from bhpvas.ui.session import Session

TAG = "double negation"
#: Points of accuracy that the second case study would give.
MAY_LOSE = 1.0
WORKBENCH, SCHEMES, SAMPLES, SENTENCE, ROLES = "Workbench Schemes Samples Sentence Roles".split()


@dataclass(frozen=True)
class Stop:
    """A page by its title, the one thing to do on it, and how it is noticed."""

    page: str
    says: Callable[[Session], str]
    done: Callable[[Session], bool]


@dataclass(frozen=True)
class Tour:
    """A walk through the pages; ``fits`` says whether the session has what it speaks of."""

    title: str
    question: str
    stops: tuple[Stop, ...]
    moral: str
    fits: Callable[[Session], bool]
    lacking: str = ""


# --- what happens to a double negation ------------------------------------------------------------


def _half(session: Session) -> int:
    return session.mask.layers * session.mask.heads // 2


def _tagged(session: Session) -> frozenset[int]:
    tags = session.data.evaluation.tags or ()
    return frozenset(place for place, tag in enumerate(tags) if tag == TAG)


def _halved(session: Session) -> bool:
    return bool(checks.made(session, "remove")) and len(session.mask.taken) >= _half(session)


def _tag_selected(session: Session) -> bool:
    return session.split == "evaluation" and session.sentences == _tagged(session)


def outstanding(session: Session) -> HeadId | None:
    """The head that double negations lean on most beyond the rest, once that is measured."""
    looking = replace(session, split="evaluation", sentences=_tagged(session))
    found = sample_work.known_comparison(looking, looking.start)
    if found is None:
        return None
    difference = np.nan_to_num(found.difference, nan=-np.inf)
    return HeadId(*map(int, np.unravel_index(int(difference.argmax()), difference.shape)))


def _named(session: Session) -> str:
    head = outstanding(session)
    return "the head that stands out" if head is None else f"**{head}**"


def _opened_tag(session: Session) -> bool:
    said = session.opened
    return said is not None and said.split == "evaluation" and said.row in _tagged(session)


SAMPLES_TOUR = Tour(
    title="What happens to a double negation",
    question="Which sentences does pruning change, which heads matter for them, and what do these "
    "heads look at?",
    stops=(
        Stop(
            WORKBENCH,
            lambda session: (
                "Colour by *Importance*, put the number beside *Select lowest* to "
                f"{_half(session)}, and press it: half of the heads."
            ),
            lambda session: (
                _halved(session)
                or checks.lowest_by_importance(session, _half(session)) == session.selected
            ),
        ),
        Stop(
            WORKBENCH,
            lambda session: f"Press *Remove {_half(session)} heads*, and read what it costs.",
            _halved,
        ),
        Stop(
            SAMPLES,
            lambda session: (
                f"The total hides who pays. Slice by tag, and select **{TAG}**: a click on its "
                "row, or its name in *Select a slice*."
            ),
            _tag_selected,
        ),
        Stop(
            SAMPLES,
            lambda session: (
                "*Heads that matter here* compares these sentences with the rest. Read which head "
                "is reddest, with a dot: it stands out beyond chance."
            ),
            lambda session: outstanding(session) is not None,
        ),
        Stop(
            ROLES,
            lambda session: f"What is it for? Select {_named(session)} on the map, and read.",
            lambda session: outstanding(session) in session.selected,
        ),
        Stop(
            SENTENCE,
            lambda session: (
                "Now one of these sentences: open the double negation of your choice from the "
                f"list, for example number {min(_tagged(session))}."
            ),
            _opened_tag,
        ),
        Stop(
            SENTENCE,
            lambda session: (
                f"Does it carry the decision? Switch {_named(session)} off in *What each head "
                "contributes*, or by its name below the map, and see the answer move."
            ),
            lambda session: outstanding(session) in session.switched,
        ),
    ),
    moral="A share of importance says where a decision is sensitive, not that it fails without the "
    "head; with 40 sentences only large differences can be seen. Who prunes for such sentences "
    "puts more of them into the calibration split, and looks again.",
    fits=lambda session: bool(_tagged(session)),
    lacking="This tour speaks of the sample sentences: choose them under *Change model or data*.",
)


# --- from all heads to a scheme to ship -----------------------------------------------------------


def _proposed(session: Session) -> list[Step]:
    return [step for step in checks.made(session, "remove") if step.method in METHODS]


def _compared(session: Session) -> bool:
    return st.session_state.get("view") == "Compare" and len(session.scheme.steps) > 2


SCHEMES_TOUR = Tour(
    title="From all heads to a scheme to ship",
    question="How many heads can go, which, and what is left of the accuracy?",
    stops=(
        Stop(
            SCHEMES,
            lambda session: (
                "On the view *Propose*, choose *Accuracy drop* and "
                f"{words.plural(int(MAY_LOSE), 'point')} that may be lost, and press *Propose*. "
                f"The method is {METHODS[DEFAULT_METHOD].title}."
            ),
            lambda session: (
                bool(_proposed(session))
                or (session.search is not None and session.search.max_drop is not None)
            ),
        ),
        Stop(
            SCHEMES,
            lambda session: (
                "Look at the reasons at the end of the list, where the removals cost most, and "
                "keep two of these heads: click them, or name them under *Turned over by hand*."
            ),
            lambda session: len(session.turned) >= 2,
        ),
        Stop(
            SCHEMES,
            lambda session: "Press *Take as a step*: now it is measured on the evaluation split.",
            lambda session: bool(_proposed(session)),
        ),
        Stop(
            SCHEMES,
            lambda session: "Below, press *Compensation*: the kept heads learn to stand in.",
            lambda session: bool(checks.made(session, "recover")),
        ),
        Stop(
            SCHEMES,
            lambda session: (
                "A rival, for comparison: go back to the start (*Undo*, or the view *Tree*), "
                "propose as many heads by *Importance*, and take them as a step. That is a branch."
            ),
            lambda session: checks.branches(session) > 1,
        ),
        Stop(
            SCHEMES,
            lambda session: (
                "Open the view *Compare*: both branches on the same sentences, with a test of "
                "whether they differ."
            ),
            _compared,
        ),
        Stop(
            SCHEMES,
            lambda session: (
                "One proposal could be luck. Open *Evidence* and press *Measure*: whole curves "
                "beside random orders. It takes minutes; it may run while you read on."
            ),
            lambda session: session.curves is not None,
        ),
    ),
    moral="What one would ship is the scheme whose accuracy holds on sentences that nobody chose "
    "by, with a curve above what chance gives. *Export* hands it over.",
    fits=lambda session: True,
)

TOURS = {"samples": SAMPLES_TOUR, "schemes": SCHEMES_TOUR}


# --- the bar --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Walk:
    """The tour that this browser is on."""

    tour: str
    progress: Progress = field(default_factory=Progress)

    @property
    def whole(self) -> Tour:
        return TOURS[self.tour]

    @property
    def stop(self) -> Stop:
        return self.whole.stops[self.progress.at]

    def noticing(self, session: Session) -> Walk:
        """The stop that is open done as well, where the session shows it."""
        here = self.progress.at
        if here in self.progress.done or not self.stop.done(session):
            return self
        return replace(self, progress=self.progress.noticing([here]))


def bar(page: str, session: Session) -> None:
    """Over a page, while a tour is on: where it stands, what to do here, and the way on."""
    walk: Walk | None = st.session_state.get(TOUR)
    if walk is None:
        return
    walk = walk.noticing(session)
    st.session_state[TOUR] = walk
    at, stops = walk.progress.at, walk.whole.stops
    done, last = at in walk.progress.done, at + 1 == len(stops)
    with (
        st.container(key="tour", border=True),
        st.container(horizontal=True, vertical_alignment="center", gap="small", key="tour-row"),
    ):
        mark = ":material/check_circle: **Done.**" if done else ":material/tour:"
        st.markdown(
            f"{mark} **{at + 1} of {len(stops)}** {walk.stop.says(session)}", width="stretch"
        )
        if page != walk.stop.page:
            st.page_link(_file(walk.stop.page), label=f"Go to {walk.stop.page}")
        kind: Literal["primary", "secondary"] = "primary" if done else "secondary"
        if last:
            on = st.button("Finish", key="tour-next", type=kind)
        else:
            on = st.button("Next" if done else "Skip", key="tour-next", type=kind)
        leave = st.button("Leave", key="tour-leave", type="tertiary", help=walk.whole.title)
    if leave or (on and last):
        st.session_state[TOUR] = None
        st.session_state["learn-view"] = "Tours"
        st.session_state["tour-finished"] = walk.tour if on else None
        _go("Learn")
    if on:
        st.session_state[TOUR] = replace(walk, progress=walk.progress.going(at + 1))
        _go(stops[at + 1].page)


# --- the view -------------------------------------------------------------------------------------


def view(session: Session) -> None:
    """The tours to choose from, with what was learnt on the one that just ended."""
    finished = st.session_state.get("tour-finished")
    walk: Walk | None = st.session_state.get(TOUR)
    for column, (name, tour) in zip(st.columns(2, gap="large"), TOURS.items(), strict=True):
        with column, st.container(border=True, key=f"tour-{name}"):
            st.html(f'<h2 class="title">{tour.title}</h2>')
            st.markdown(tour.question)
            st.markdown(
                "\n".join(
                    f"{place}. *{stop.page}*: {stop.says(session)}"
                    for place, stop in enumerate(tour.stops, 1)
                    if tour.fits(session)
                )
            )
            if not tour.fits(session):
                st.caption(tour.lacking)
            if finished == name:
                st.markdown(f":material/check_circle: **What to take from it.** {tour.moral}")
            begin = "Start again" if walk is not None and walk.tour == name else "Start"
            if st.button(
                f"{begin}: {words.plural(len(tour.stops), 'stop')}",
                key=f"start-{name}",
                type="primary",
                disabled=not tour.fits(session),
            ):
                st.session_state[TOUR] = Walk(name)
                st.session_state["tour-finished"] = None
                _go(tour.stops[0].page)


def _go(page: str) -> None:
    # Left to itself, Streamlit refuses while a widget of this page has its value in the address.
    st.switch_page(_file(page), query_params={})


def _file(page: str) -> str:
    return f"pages/{page.lower()}.py"
