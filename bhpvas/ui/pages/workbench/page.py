"""Page Workbench: which heads can go?"""

from __future__ import annotations

import streamlit as st

from bhpvas.charts.head_columns import columns, unscored
from bhpvas.ui.jobs import learnt, measuring, models, runner
from bhpvas.ui.pages.workbench import explorer, texts
from bhpvas.ui.pages.workbench import settings as workbench_settings
from bhpvas.ui.pages.workbench import views as workbench_views
from bhpvas.ui.state import session as sessions
from bhpvas.ui.widgets import feed_forward, help
from bhpvas.ui.widgets.feed_forward import map_size
from bhpvas.ui.widgets.head_map import head_grid
from bhpvas.ui.widgets.learnt import warn


def draw() -> None:
    """Draw the page."""
    session = sessions.current()
    settings = workbench_settings.settings()
    scores, key = measuring.scores_for(session, settings.colour)
    ablation = measuring.ablation_for(session)

    task = models.task_of(session)
    help.heading(
        "Which heads can go?",
        "Each cell is an attention head. Select some, see what removing them costs, remove them."
        if session.heads_only
        else "Each cell is an attention head, the wide one a layer's feed-forward part. Select "
        "some, see what removing them costs, remove them.",
        *help.column_help(settings.colour, task.headline),
        ("Head map", texts.HEAD_MAP),
        ("Feed-forward part", texts.WIDTH.judged_by(task.headline)),
        ("What would it cost?", texts.cost(task)),
        key="workbench",
        page=True,
    )
    workbench_settings.colour_controls(task.headline, ablated=ablation is not None)

    width, height = map_size(session)
    if scores is None:
        found, column = {}, unscored(settings.colour, session.mask)
    else:
        found = columns(
            scores, ablation, settings.weighing, remember=runner.shared().quick, key=key
        )
        column = found.get(settings.colour) or next(iter(found.values()))
    workbench_settings.selection_controls(column, session)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=width):
            head_grid(column, session, pointer=settings.pointer, widths=True)
            said = column.reading if settings.weighing.usable else workbench_settings.NO_WEIGHT
            beside = "" if session.heads_only else feed_forward.reading(session)
            st.caption(f"{said} {beside}")
        with st.container(width="stretch"):
            workbench_views.selected_heads(scores, found, session, height=height)
    workbench_views.actions(scores, session)
    warn(learnt.counted(session))

    left, right = st.columns(2, gap="large")
    with left:
        workbench_views.steps(session)
    with right:
        workbench_views.what_changed(session)

    if scores is not None:
        explorer.explorer(scores, found, column, session, pointer=settings.pointer)
        workbench_views.ablation_agreement(found, session)
