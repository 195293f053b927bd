"""Widgets: what several pages draw alike, such as the head map, figures, tables and help.

Those that show what the session holds keep in step with it. It imports tasks, storage, data,
model, criteria, evaluation, interpret, charts, report, ui.state, ui.jobs, ui.persistence and the
files at the root.
"""
