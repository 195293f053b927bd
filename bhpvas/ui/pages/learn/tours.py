"""The case studies as guided tours: a bar over the real pages says what to do and sees it done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.heads import HeadId
from bhpvas.scheme.step import Step
from bhpvas.search import METHODS
from bhpvas.ui.jobs import models
from bhpvas.ui.pages.learn import checks
from bhpvas.ui.pages.learn.texts import Text, in_words
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.persistence import links
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.lessons import TOUR, TourProgress
from bhpvas.ui.state.session import Session

TAG = "double negation"
#: Points of accuracy that the second tour would give; its case study gives three.
MAY_LOSE = 1.0
WORKBENCH, SCHEMES, SAMPLES, SENTENCE, ROLES = "Workbench Schemes Samples Sentence Roles".split()
PROPOSE = "Propose"


@dataclass(frozen=True)
class Stop:
    """A page by its title, the one thing to do on it, and how it is noticed.

    ``done`` is asked with the number of the first step that the tour could have made: what was done
    before it does not count. Whoever comes to the stop finds the ``view`` of its page open.
    """

    page: str
    says: Text
    done: Callable[[Session, int], bool]
    view: str | None = None


@dataclass(frozen=True)
class Tour:
    """A walk through the pages; ``fits`` says whether the session has what it speaks of."""

    title: str
    question: str
    stops: tuple[Stop, ...]
    moral: str
    fits: Callable[[Session], bool]
    lacking: str = ""


def _half(session: Session) -> int:
    return session.mask.layers * session.mask.heads // 2


def _tagged(session: Session) -> frozenset[int]:
    tags = session.data.evaluation.tags or ()
    return frozenset(place for place, tag in enumerate(tags) if tag == TAG)


def _halved(session: Session, since: int) -> bool:
    removed = len(session.mask.masked)
    return bool(checks.made(session, "remove", since)) and removed >= _half(session)


def _tag_selected(session: Session, since: int) -> bool:
    return session.split == "evaluation" and session.sentences == _tagged(session)


def outstanding(session: Session) -> HeadId | None:
    """The head that double negations lean on most beyond the rest, once that is measured."""
    tagged = _tagged(session)
    if not 0 < len(tagged) < len(session.data.evaluation):
        return None
    looking = replace(session, split="evaluation", sentences=tagged)
    found = samples_tasks.comparison(looking, looking.start, ask=False)
    if found is None:
        return None
    difference = np.nan_to_num(found.difference, nan=-np.inf)
    return HeadId(*map(int, np.unravel_index(int(difference.argmax()), difference.shape)))


def _named(session: Session) -> str:
    head = outstanding(session)
    return "the head that stands out" if head is None else f"**{head}**"


def _opened_tag(session: Session, since: int) -> bool:
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
            lambda session, since: (
                _halved(session, since)
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
            f"The total hides who pays. Slice by tag, and select **{TAG}**: a click on its "
            "row, or its name in *Select a slice*.",
            _tag_selected,
        ),
        Stop(
            SAMPLES,
            "*Heads that matter here* compares these sentences with the rest. Read which head "
            "is reddest, with a dot: it stands out beyond chance among the heads, though nothing "
            "corrects for a tag chosen from twelve.",
            lambda session, since: outstanding(session) is not None,
        ),
        Stop(
            ROLES,
            lambda session: f"What is it for? Select {_named(session)} on the map, and read.",
            lambda session, since: outstanding(session) in session.selected,
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
            lambda session, since: outstanding(session) in session.switched,
        ),
    ),
    moral="A share of importance says where a decision is sensitive, not that it fails without the "
    "head; with 40 sentences only large differences can be seen. Whoever prunes for such sentences "
    "puts more of them into the calibration split, and looks again.",
    fits=lambda session: bool(_tagged(session)),
    lacking="This tour speaks of the sample sentences: choose them under *Change model or data*.",
)


def _proposed(session: Session, since: int) -> list[Step]:
    return [step for step in checks.made(session, "remove", since) if step.method in METHODS]


def _rivals(session: Session, since: int) -> bool:
    """Whether proposals were taken on two branches."""
    return len({step.parent for step in _proposed(session, since)}) < len(_proposed(session, since))


def _as_many(session: Session) -> str:
    """How many heads the tour's proposal took: its rival takes as many."""
    walk: TourProgress | None = st.session_state.get(TOUR)
    steps = [] if walk is None else _proposed(session, walk.since)
    return str(len(steps[0].heads)) if steps else "as many"


SCHEMES_TOUR = Tour(
    title="From all heads to a scheme to ship",
    question="How many heads can go, which, and what is left of the accuracy?",
    stops=(
        Stop(
            SCHEMES,
            "How many heads can go? Choose *Heads*, under *How many go* *Accuracy drop*, "
            f"put {MAY_LOSE:g} point, and press *Propose*. The search takes half a minute or more.",
            lambda session, since: (
                bool(_proposed(session, since))
                or (session.search is not None and session.search.max_drop is not None)
            ),
            PROPOSE,
        ),
        Stop(
            SCHEMES,
            "The list below the map says why each head would go. The last ones cost most: "
            "keep two of these by a click on the map, or by name under *Turned over by hand*.",
            lambda session, since: len(session.turned) >= 2,
            PROPOSE,
        ),
        Stop(
            SCHEMES,
            "Press *Take as a step* (*as two steps*, with the compensation, where nothing is "
            "turned over): now it is measured on the evaluation split.",
            lambda session, since: bool(_proposed(session, since)),
            PROPOSE,
        ),
        Stop(
            SCHEMES,
            "Under *Recover*, press *Compensation*: the kept heads learn to stand in. Read in "
            "the sidebar what it wins back.",
            lambda session, since: bool(checks.made(session, "recover", since)),
            PROPOSE,
        ),
        Stop(
            SCHEMES,
            "Is that good? Compare it with a rival. Back to all heads first: press *Undo* in "
            "the sidebar until every head is kept.",
            lambda session, since: session.scheme.current == 0,
            PROPOSE,
        ),
        Stop(
            SCHEMES,
            lambda session: (
                "The rival: choose the method *Importance*, under *How many go* choose *Heads* and "
                f"put {_as_many(session)}, press *Propose*, then *Take as a step*. That is a "
                "branch."
            ),
            _rivals,
            PROPOSE,
        ),
        Stop(
            SCHEMES,
            "Open the view *Compare*: both branches on the same sentences. Below *Measures* "
            "a line says how far they are apart, and whether that could be chance.",
            lambda session, since: (
                st.session_state.get("view") == "Compare" and _rivals(session, since)
            ),
        ),
        Stop(
            SCHEMES,
            "One proposal could be luck. Press *Measure*: whole curves beside random orders. "
            "It takes some minutes, and goes on while you stay here; what is measured is kept.",
            lambda session, since: session.curves is not None,
            "Evidence",
        ),
    ),
    moral="What one would ship is the scheme whose accuracy holds on sentences that nobody chose "
    "by, with a curve that, unrecovered, lies above random orders. *Export* hands it over.",
    fits=lambda session: not models.groups(session),
    lacking="This tour searches one layer after the other, and those of this model share weights.",
)

TOURS = {"samples": SAMPLES_TOUR, "schemes": SCHEMES_TOUR}


def _stop(walk: TourProgress) -> Stop:
    return TOURS[walk.tour].stops[walk.progress.at]


def bar(page: str, session: Session) -> None:
    """Over a page, while a tour is on: where it stands, what to do here, and the way on."""
    walk: TourProgress | None = st.session_state.get(TOUR)
    if walk is None or walk.left:
        return
    tour, stop, at = TOURS[walk.tour], _stop(walk), walk.progress.at
    fits, last, go, on = tour.fits(session), at + 1 == len(tour.stops), False, False
    if fits and at not in walk.progress.done and stop.done(session, walk.since):
        walk = replace(walk, progress=walk.progress.noticing([at]))
        st.session_state[TOUR] = walk
    done = at in walk.progress.done
    with (
        st.container(key="tour", border=True),
        st.container(horizontal=True, vertical_alignment="center", gap="small", key="tour-row"),
    ):
        if fits:
            mark = ":material/check_circle: **Done.**" if done else ":material/tour:"
            place = f"**{at + 1} of {len(tour.stops)}**"
            st.markdown(f"{mark} {place} {in_words(stop.says, session)}", width="stretch")
            go = page != stop.page and st.button(f"Go to {stop.page}", key="tour-go")
            on = st.button(
                "Finish" if last else "Next" if done else "Skip",
                key="tour-next",
                type="primary" if done else "secondary",
            )
        else:  # the model or the data changed to some that the tour does not speak of
            st.markdown(f":material/tour: {tour.lacking}", width="stretch")
        leave = st.button(
            "Leave",
            key="tour-leave",
            type="tertiary",
            help=f"{tour.title}. You can go on with it later, on Learn.",
        )
    if leave:
        st.session_state[TOUR] = replace(walk, left=True)
        st.session_state["tour-finished"] = None
        _to_tours()
    if on and last:
        st.session_state[TOUR] = None
        st.session_state["tour-finished"] = walk.tour
        _to_tours()
    if on:
        _walk_on(replace(walk, progress=walk.progress.opening(at + 1)))
    if go:
        _walk_on(walk)


def _to_tours() -> None:
    st.session_state["learn-view"] = "Tours"
    _go("Learn")


def _walk_on(walk: TourProgress) -> None:
    """Go where a walk stands."""
    st.session_state[TOUR] = replace(walk, left=False)
    if _stop(walk).view is not None:
        st.session_state["view"] = _stop(walk).view
    _go(_stop(walk).page)


def view(session: Session) -> None:
    """The tours to choose from, with what was learnt on the one that just ended."""
    finished = st.session_state.get("tour-finished")
    for column, (name, tour) in zip(st.columns(2, gap="large"), TOURS.items(), strict=True):
        with column, st.container(border=True, key=f"tour-{name}"):
            st.html(f'<h2 class="title">{tour.title}</h2>')
            st.markdown(tour.question)
            st.markdown(
                "\n".join(
                    f"{place}. *{stop.page}*: {in_words(stop.says, session)}"
                    for place, stop in enumerate(tour.stops, 1)
                    if tour.fits(session)
                )
            )
            if not tour.fits(session):
                st.caption(tour.lacking)
            if finished == name:
                st.markdown(f":material/check_circle: **What to take from it.** {tour.moral}")
            _ways(name, tour, session)


def _ways(name: str, tour: Tour, session: Session) -> None:
    """How to begin a tour, or to go on with it."""
    walk: TourProgress | None = st.session_state.get(TOUR)
    if walk is not None and walk.tour != name:
        walk = None
    with st.container(horizontal=True, gap="small"):
        if walk is not None and st.button(
            f"Go on: stop {walk.progress.at + 1} of {len(tour.stops)}",
            key=f"go-on-{name}",
            type="primary",
        ):
            _walk_on(walk)
        if st.button(
            "Start again" if walk is not None else f"Start: {text.plural(len(tour.stops), 'stop')}",
            key=f"start-{name}",
            type="primary" if walk is None else "tertiary",
            disabled=not tour.fits(session),
        ):
            st.session_state["tour-finished"] = None
            _walk_on(started(name))
    if len(session.scheme.steps) > 1:
        st.caption("It begins with every head; the steps that you took stay in the tree.")


def started(name: str) -> TourProgress:
    """A tour at its first stop, with every head there."""
    sessions.change(lambda session: session.moved(session.scheme.at(0)).clearing())
    return TourProgress(name, since=max(step.id for step in sessions.current().scheme.steps) + 1)


def _go(page: str) -> None:
    st.switch_page(f"pages/{page.lower()}.py", query_params=links.of_this_work())
