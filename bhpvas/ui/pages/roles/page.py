"""Page Roles: what is each head for?"""

from __future__ import annotations

import streamlit as st

from bhpvas.charts.style import KINDS
from bhpvas.ui.jobs import roles as role_tasks
from bhpvas.ui.pages.roles import texts
from bhpvas.ui.pages.roles import views as roles_views
from bhpvas.ui.pages.workbench import texts as workbench_texts
from bhpvas.ui.persistence import links
from bhpvas.ui.state import session as sessions
from bhpvas.ui.widgets import controls, help
from bhpvas.ui.widgets.feed_forward import map_size
from bhpvas.ui.widgets.head_map import head_grid


def draw() -> None:
    """Draw the page."""
    if st.session_state.pop("to-sentence", False):
        st.switch_page("pages/sentence.py", query_params=links.of_this_work())

    session = sessions.current()
    counted = role_tasks.counted(session, session.start)

    help.heading(
        "What is each head for?",
        "A role says what a head attends to; it is given only where that is clear beyond chance.",
        ("Roles", texts.ROLES),
        ("Head map", workbench_texts.HEAD_MAP),
        key="roles",
        page=True,
    )
    width, height = map_size(session)
    if counted is None:
        st.skeleton(height)
    else:
        relation, way = roles_views.settings(counted)
        roles = role_tasks.judged(session, counted, role_tasks.fewest())
        column = roles_views.column(roles, relation, way)
        with st.container(horizontal=True, gap="medium"):
            with st.container(width=width):
                head_grid(
                    column,
                    session,
                    pointer="head",
                    key="role-map",
                    hover=roles_views.hover(roles, column),
                    labelled=True,
                    palette=KINDS if relation == roles_views.ROLE else None,
                )
                st.caption(column.help)
                controls.selected_list(session)
            with st.container(width="stretch"):
                roles_views.summary(roles, counted.sentences, session)
        chosen = roles_views.relations(roles, way, session)
        if chosen is not None:
            roles_views.show_examples(counted, roles, chosen, way, session)
        roles_views.changes(roles, session)
