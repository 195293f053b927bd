"""The app: the frame, then the page that is open, then whatever the page still needs computed."""

import streamlit as st

st.set_page_config(page_title="bhpvas", page_icon=":material/grid_on:", layout="wide")

page = st.navigation(
    [st.Page("pages/workbench.py", title="Workbench", default=True)], position="hidden"
)

from bhpvas.ui import frame, session, work  # noqa: E402  (something shows while this loads)

frame.open_session()
if (error := session.current().error) is not None:
    st.error(error)
page.run()
frame.sidebar(session.current())
work.carry_out()
