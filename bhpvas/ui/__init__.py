"""User interface: the streamlit glue, the frame around every page and all that it is made of.

Each page has a folder in `pages`. It imports tasks, storage, data, model, scheme, evaluation,
interpret, charts, ui.state, ui.jobs, ui.persistence, ui.widgets, ui.pages and the files at the
root.
"""

from pathlib import Path

#: A file, since the browser would fetch one of Streamlit's own icons from elsewhere.
ICON = Path(__file__).with_name("icon.svg")
