"""Data in, plotly figure out: no state, no streamlit; each figure also works in a notebook."""
