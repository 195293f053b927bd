"""Pages: one folder a page, with its views, its tasks and its texts.

The scripts that Streamlit runs stand in `pages/` beside the package, and only put these together.
It imports every room below: tasks, storage, data, model, scheme, criteria, evaluation, interpret,
recovery, search, export, charts, report, ui.state, ui.jobs, ui.persistence, ui.widgets and the
files at the root.
"""
