"""The streamlit glue: what a session holds, what is computed once for all, and how it is drawn."""
