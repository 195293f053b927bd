"""The app: the frame, then the page that is open, then whatever the page still needs computed."""

import streamlit as st

from bhpvas.ui import ICON

st.set_page_config(page_title="bhpvas", page_icon=str(ICON), layout="wide")

# Each keeps the address of its file's name: see framed.ensure.
pages = [
    st.Page("pages/workbench.py", title="Workbench", default=True),
    st.Page("pages/learn.py", title="Learn"),
    st.Page("pages/schemes.py", title="Schemes"),
    st.Page("pages/samples.py", title="Samples"),
    st.Page("pages/sentence.py", title="Sentence"),
    st.Page("pages/roles.py", title="Roles"),
    st.Page("pages/export.py", title="Export"),
]
page = st.navigation(pages, position="hidden")

# Something shows while this loads.
from bhpvas.ui import server

server.load()
from bhpvas.ui import frame, framed, sidebar
from bhpvas.ui.jobs import measuring, progress_bar
from bhpvas.ui.pages.learn import tours
from bhpvas.ui.persistence import kept_work
from bhpvas.ui.state import session
from bhpvas.ui.widgets import figures

frame.open_session()
kept_work.come_back()
with frame.way_out(pages):
    measuring.measure_steps()
    kept_work.keep(page.url_path)
    frame.messages(pages)
    tours.bar(page.title, session.current())
    framed.run(page)
    figures.shelf()
    sidebar.draw(session.current(), pages)
    progress_bar.carry_out()
