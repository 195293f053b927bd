"""The streamlit glue: what a session holds, what is computed once for all, and how it is drawn."""

from pathlib import Path

#: A file, since the browser would fetch one of Streamlit's own icons from elsewhere.
ICON = Path(__file__).with_name("icon.svg")
