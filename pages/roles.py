"""Roles: what is each head for?"""

from bhpvas.ui import framed

framed.ensure()
import streamlit as st

from bhpvas.charts.head_map import size
from bhpvas.charts.style import KINDS
from bhpvas.ui import aid, controls, definitions, reading, role_views, sharing
from bhpvas.ui import session as sessions
from bhpvas.ui.head_grid import head_grid

if st.session_state.pop("to-sentence", False):
    st.switch_page("pages/sentence.py", query_params=sharing.of_this_work())

session = sessions.current()
counted = reading.counted(session, session.start)

aid.heading(
    "What is each head for?",
    "A role says what a head attends to; it is given only where that is clear beyond chance.",
    ("Roles", definitions.ROLES),
    ("Head map", definitions.HEAD_MAP),
    key="roles",
    page=True,
)
width, height = size(session.mask.layers, session.mask.heads)
if counted is None:
    st.skeleton(height)
else:
    relation, way = role_views.settings(counted)
    roles = reading.judged(session, counted, reading.fewest())
    column = role_views.column(roles, relation, way)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=width):
            head_grid(
                column,
                session,
                pointer="head",
                key="role-map",
                hover=role_views.hover(roles, column),
                labelled=True,
                palette=KINDS if relation == role_views.ROLE else None,
            )
            st.caption(column.aid)
            controls.selected_list(session)
        with st.container(width="stretch"):
            role_views.summary(roles, session)
    chosen = role_views.relations(roles, way, session)
    if chosen is not None:
        role_views.show_examples(counted, roles, chosen, way, session)
    role_views.changes(roles, session)
