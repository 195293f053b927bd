"""The app: the frame, then the page that is open, then whatever the page still needs computed."""

import streamlit as st

from bhpvas.ui import ICON

st.set_page_config(page_title="bhpvas", page_icon=str(ICON), layout="wide")

# An address of its own keeps a page from being taken for one of Streamlit's older kind, which are
# found by their file name in pages/ and run without this frame: its test runner starts that way.
pages = [
    st.Page("pages/workbench.py", title="Workbench", url_path="which-heads", default=True),
    st.Page("pages/schemes.py", title="Schemes", url_path="which-scheme"),
    st.Page("pages/samples.py", title="Samples", url_path="which-sentences"),
    st.Page("pages/sentence.py", title="Sentence", url_path="what-heads-look-at"),
    st.Page("pages/roles.py", title="Roles", url_path="what-heads-are-for"),
    st.Page("pages/export.py", title="Export", url_path="take-it-along"),
]
page = st.navigation(pages, position="hidden")

from bhpvas.ui import frame, session, work  # noqa: E402  (something shows while this loads)

frame.open_session()
if (error := session.current().error) is not None:
    st.error(error)
page.run()
frame.sidebar(session.current(), pages)
work.carry_out()
