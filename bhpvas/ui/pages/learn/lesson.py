"""The lesson: from one head to half of them gone, each step on a real view of the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.charts.head_columns import Column, Weighing, columns
from bhpvas.criteria import Scores
from bhpvas.interpret.saliency import SALIENCIES
from bhpvas.ui.jobs import learnt, measuring, models, runner, tasks
from bhpvas.ui.pages.learn import checks
from bhpvas.ui.pages.learn.texts import Text, in_words
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.pages.samples.page import panel
from bhpvas.ui.pages.samples.selection import selection
from bhpvas.ui.pages.samples.sentence_map import MAP_HEIGHT
from bhpvas.ui.pages.samples.slices import answer
from bhpvas.ui.pages.schemes import propose, recover, tree
from bhpvas.ui.pages.sentence import tasks as sentence_tasks
from bhpvas.ui.pages.sentence import views as sentence_views
from bhpvas.ui.pages.workbench import settings as workbench_settings
from bhpvas.ui.pages.workbench import views as workbench_views
from bhpvas.ui.pages.workbench import widths as widths_view
from bhpvas.ui.persistence import links
from bhpvas.ui.state.lessons import LESSON, LessonProgress
from bhpvas.ui.state.session import Search, Session
from bhpvas.ui.widgets import controls, feed_forward, help
from bhpvas.ui.widgets.feed_forward import map_size
from bhpvas.ui.widgets.head_map import head_grid
from bhpvas.ui.widgets.learnt import warn
from bhpvas.ui.widgets.synced import hold

UNNAMED = "main"
#: Pixels beside the text on a screen of 1440.
ROOM = 760


@dataclass(frozen=True)
class Lesson:
    """One step: what there is to know, the one thing to do, how it is noticed, the view of it."""

    title: str
    says: Text
    task: Text
    done: Callable[[Session], bool]
    view: Callable[[Session], None]


def _sentence(session: Session) -> None:
    sentence_views.choose(session)
    label = sentence_views.decision(session)
    found = tasks.promptly(sentence_tasks.reading(session))
    decided = None if label is None else tasks.promptly(sentence_tasks.contributing(session, label))
    if found is None:
        st.skeleton(380)
        return
    sentence_views.arcs(
        session,
        found,
        found.units(words=True, special_tokens=True),
        sentence_views.shown_heads(session, decided),
        label,
        threshold=0.1,
        method=next(iter(SALIENCIES)),
        room=ROOM,
    )


def _decision(session: Session) -> None:
    sentence_views.choose(session)
    label = sentence_views.decision(session)
    decided = None if label is None else tasks.promptly(sentence_tasks.contributing(session, label))
    sentence_views.contribution_map(session, decided, label)


def _decision_task(session: Session) -> str:
    head = checks.strongest(session)
    which = "the bluest cell" if head is None else f"the bluest cell, **{head}**"
    return f"Switch off {which}, and read how the answer moves."


def _decision_done(session: Session) -> bool:
    return checks.strongest(session) in session.switched


def _scored(session: Session, colour: str) -> tuple[Scores, Column] | None:
    """The scores, and the column to look at; None while they are measured."""
    scores, key = measuring.scores_for(session, colour)
    if scores is None:
        st.skeleton(map_size(session)[1])
        return None
    found = columns(scores, None, Weighing(), remember=runner.shared().quick, key=key)
    return scores, found[colour]


def _heads(session: Session, colour: str) -> Scores | None:
    """The head map with every way to select."""
    scored = _scored(session, colour)
    if scored is None:
        return None
    scores, column = scored
    workbench_settings.selection_controls(column, session)
    with st.container(width=map_size(session)[0]):
        head_grid(column, session, pointer=workbench_settings.settings().pointer)
        st.caption(column.reading)
    return scores


def _habits(session: Session) -> None:
    scored = _scored(session, "stability")
    if scored is None:
        return
    scores, _ = scored
    shares = 100 * checks.at_rest(scores)
    resting = Column("resting", "on [CLS] and [SEP], %", shares, "keep", "")
    with st.container(width=map_size(session)[0]):
        head_grid(resting, session, pointer="head", key="habit-map", hover=_shares(resting, scores))
        controls.selected_list(session)
    chosen = sorted(set(session.selected_kept) & set(scores.mask))
    if chosen:
        workbench_views.where_they_look(scores, chosen[:8], chosen)
    else:
        st.caption("Select heads on the map: here you see where each of them looks.")


def _shares(resting: Column, scores: Scores) -> np.ndarray:
    """What a cell of the map of habits says under the pointer."""
    said = [
        f"<b>{head}</b> removed"
        if head not in scores.mask
        else f"<b>{head}</b><br>{resting.value(head)}% of its attention<br>on [CLS] and [SEP]"
        for head in scores.mask.every_head()
    ]
    return np.array(said).reshape(scores.mask.layers, scores.mask.heads)


def _habits_said(session: Session) -> str:
    said = (
        f"The model has {session.mask.layers} layers of {session.mask.heads} heads, and each has "
        "its own habit: some follow the previous word, some spread over the whole sentence, and "
        "many rest on the marks [CLS] and [SEP], where no word stands."
    )
    found = checks.scores(session)
    if found is not None:
        idle, least = checks.resting(found)
        said += (
            f" Here {len(idle)} of {text.plural(found.mask.kept_count, 'head')} spend more than "
            f"{text.percent(least, 0)}% of their attention there, on average over "
            f"{text.plural(found.sentences, 'sentence')}."
        )
    return said


def _importance(session: Session) -> None:
    if _heads(session, "importance") is not None:
        with st.expander("How importance is measured"):
            help.explain(*help.column_help("importance")[0])


def _lowest_done(session: Session) -> bool:
    lowest = checks.lowest_by_importance(session, checks.some_heads(session))
    return lowest is not None and lowest <= session.selected


def _estimate(session: Session) -> None:
    scores = _heads(session, "importance")
    if scores is not None:
        workbench_views.actions(scores, session)


def _removing_said(session: Session) -> str:
    said = (
        "Removing measures: the model without these heads answers all "
        f"{text.plural(len(session.data.evaluation), 'evaluation sentence')}, which are there to "
        "measure. "
    )
    if common := learnt.in_common(session):
        verb = "is a calibration sentence" if common == 1 else "are calibration sentences"
        said += f"Here {common:,} of them {verb}, too, so the accuracy may look better than it is. "
    else:
        said += "Criteria learn from others. "
    return said + (
        "The accuracy comes with its 95% interval, and every answer that changed is listed."
    )


def _removing(session: Session) -> None:
    _estimate(session)
    workbench_views.what_changed(session)
    workbench_views.steps(session)


def _slices(session: Session) -> None:
    found = samples_tasks.measured(session)
    if found is None:
        st.skeleton(MAP_HEIGHT)
        return
    st.markdown(answer(found))
    panel(found, session)
    if session.sentences:
        selection(found, session)


def _half(session: Session) -> None:
    count = checks.half(session)
    if session.search is None and count:
        st.button(
            f"Propose {text.plural(count, 'head')} to remove",
            key="learn-propose",
            type="primary",
            on_click=propose.ask,
            args=(Search(propose.default_method(session), count),),
        )
        st.caption(
            "The same search as on the page Schemes, by its default method, from the "
            f"{text.plural(len(session.data.calibration), 'calibration sentence')} alone."
        )
    elif session.search is not None:
        propose.proposal(session)
    workbench_views.steps(session)


def _half_task(session: Session) -> str:
    count = checks.half(session)
    return (
        f"Ask for a proposal of {text.plural(count, 'head')}, look at the reasons, and press "
        "*Take as a step*."
        if count
        else "Half of the heads are gone."
    )


def _widths(session: Session) -> None:
    scored = _scored(session, "importance")
    if scored is None:
        return
    scores, column = scored
    with st.container(width=map_size(session)[0]):
        head_grid(column, session, pointer="head", key="width-map", widths=True)
        st.caption(feed_forward.reading(session))
        feed_forward.parts_list(session)
    if session.widths:
        widths_view.panel(session)
    workbench_views.actions(scores, session)
    workbench_views.steps(session)


def _widths_said(session: Session) -> str:
    neurons, heads = checks.shares_of_flops(session)
    geometry = models.classifier_named(session.model).geometry
    return (
        "After its heads each layer has a **feed-forward part**, which passes every word by itself "
        f"through {geometry.intermediate_size:,} **neurons**. In a BERT it does about two thirds "
        f"of the arithmetic: in this model, unpruned, {text.percent(neurons, 0)}% on these "
        f"sentences, and all heads together {text.percent(heads, 0)}%. So whoever wants a model "
        "twice as fast narrows these parts, too. Grey is what is kept; the neurons that hardly "
        "move the loss go first."
    )


def _widths_task(session: Session) -> str:
    if models.groups(session):
        return "The layers of this model share their weights, so none is narrowed alone: go on."
    shown = "Turn on *Feed-forward* below the map. " * session.heads_only
    return (
        f"{shown}Click one of the wide cells at the right, choose how many neurons it keeps, and "
        "press *Remove*. What each width costs, *Measure widths* says before."
    )


def _widths_done(session: Session) -> bool:
    return bool(models.groups(session)) or any(
        step.neurons is not None for step in checks.made(session, "remove")
    )


def _yours(session: Session) -> None:
    warn(learnt.counted(session))
    tree.scheme_bar(session)
    tree.picture(session)


def _yours_said(session: Session) -> str:
    return (
        f"{workbench_views.standing(session)}. Every step that you took is kept here: click one to "
        "go back to it, and the next removal starts a branch. The scheme can be saved as a file, "
        "and *Export* hands over the smaller model."
    )


LESSONS = (
    Lesson(
        "What is a head?",
        "A BERT reads a sentence in layers. In each layer several **attention heads** work "
        "side by side. For every word, a head decides which other words to read from; the "
        "arcs below the words show how much. Above the words stands the grammar of the "
        "sentence, for comparison.",
        "Choose another sentence, or pick *Typed* and write one of your own.",
        lambda session: session.opened is not None and session.opened != session.sentence_at(0),
        _sentence,
    ),
    Lesson(
        "Each has its habit",
        _habits_said,
        "Select two heads: click a bright cell, which rests on [CLS] and [SEP], and a dark "
        "one, which looks elsewhere. Below the map you see where.",
        checks.selected_both_habits,
        _habits,
    ),
    Lesson(
        "Who decides?",
        "What a head looks at is not yet what it does. So take it away and see. Each cell "
        "says how far the answer to this one sentence moves without that head: blue speaks "
        "for the answer, red against it.",
        _decision_task,
        _decision_done,
        _decision,
    ),
    Lesson(
        "One number a head",
        lambda session: (
            "Over many sentences this makes a **criterion**. *Importance* turns each head down a "
            "little and asks how much that changes the loss (how wrong an answer is) of each of "
            f"{text.plural(len(session.data.calibration), 'calibration sentence')}: these are "
            "the sentences to learn from. Dark heads are hardly felt."
        ),
        lambda session: (
            f"Select the {checks.some_heads(session)} heads with the lowest importance: one click "
            f"on *Select lowest {checks.some_heads(session)}* does it."
        ),
        _lowest_done,
        _importance,
    ),
    Lesson(
        "What would it cost?",
        "Before anything is removed, the slopes of the loss (gradients) say roughly what it "
        "would cost, in milliseconds. This is an estimate: it is good for a few heads and says "
        "little about many.",
        "With some heads selected, press *What would it cost?*",
        lambda session: session.cost_asked and bool(session.selected),
        _estimate,
    ),
    Lesson(
        "Remove and measure",
        _removing_said,
        "Press *Remove*, then read what changed. You can always go back.",
        lambda session: bool(checks.made(session, "remove")),
        _removing,
    ),
    Lesson(
        "Who pays?",
        "The same accuracy can hide that some kinds of sentences lose and others gain. Slices "
        "show it, each with its interval: with few sentences most differences are chance.",
        "Select a slice, by a click or by its name, and see which heads it needs.",
        lambda session: bool(session.sentences),
        _slices,
    ),
    Lesson(
        "Half of them",
        "Why can so many go? Many heads rest on [CLS] or [SEP] and often change little, others "
        "say what a kept head says already, and those that stay can make up for more. Nobody "
        "picks half of the heads by hand: a **method** proposes them in the order in which "
        "they should go and says why; you may turn single heads over before you take the "
        "proposal.",
        _half_task,
        lambda session: checks.half(session) == 0 and bool(checks.made(session, "remove")),
        _half,
    ),
    Lesson(
        "Win some back",
        "The heads that stay can stand in for those that left. **Compensation** refits how "
        "their outputs are mixed, layer by layer, in seconds and without labels.",
        "Press *Compensation*, and compare the accuracy before and after.",
        lambda session: bool(checks.made(session, "recover")),
        recover.recovery,
    ),
    Lesson("The other two thirds", _widths_said, _widths_task, _widths_done, _widths),
    Lesson(
        "It is yours",
        _yours_said,
        "Give your scheme a name.",
        lambda session: session.scheme.name != UNNAMED,
        _yours,
    ),
)


def progress(session: Session) -> LessonProgress:
    """How far this browser is, with what the session shows to be done by now."""
    known: LessonProgress = st.session_state.get(LESSON, LessonProgress())
    left = [step for step in range(len(LESSONS)) if step not in known.done]
    now = known.noticing([step for step in left if LESSONS[step].done(session)])
    st.session_state[LESSON] = now
    return now


def view(session: Session) -> None:
    """The steps to jump to, the open one with its task, and the view that it is about."""
    now = progress(session)
    lesson = LESSONS[now.at]
    _steps(now)
    left, right = st.columns([1, 2.7], gap="medium")
    with left, st.container(key="lesson"):
        st.html(f'<h2 class="title">{now.at + 1}. {lesson.title}</h2>')
        st.markdown(in_words(lesson.says, session))
        with st.container(border=True, key="task"):
            done = now.at in now.done
            mark = (
                ":material/check_circle: **Done.**" if done else ":material/touch_app: **Do this.**"
            )
            st.markdown(f"{mark} {in_words(lesson.task, session)}")
        _ways(now)
    with right:
        lesson.view(session)


def _steps(now: LessonProgress) -> None:
    hold("lesson-step", now.at)
    st.pills(
        "Steps of the lesson",
        range(len(LESSONS)),
        required=True,
        format_func=lambda step: (
            f"{':material/check:' if step in now.done else ''} {step + 1} {LESSONS[step].title}"
        ),
        key="lesson-step",
        label_visibility="collapsed",
        width="stretch",
        on_change=lambda: _go(st.session_state["lesson-step"]),
    )
    st.caption(f"{len(now.done)} of {len(LESSONS)} done, about ten minutes in all.")


def _ways(now: LessonProgress) -> None:
    last = now.at + 1 == len(LESSONS)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson-ways"):
        if not last:
            done = now.at in now.done
            st.button(
                "Next" if done else "Skip",
                key="lesson-next",
                type="primary" if done else "secondary",
                on_click=partial(_go, now.at + 1),
            )
        elif now.at in now.done:
            st.page_link(
                "pages/export.py",
                label="Take the smaller model along",
                icon=":material/arrow_forward:",
                query_params=links.of_this_work(),
            )
        if now.at:
            st.button("Back", key="lesson-back", type="tertiary", on_click=partial(_go, now.at - 1))


def _go(step: int) -> None:
    st.session_state[LESSON] = st.session_state[LESSON].opening(step)
