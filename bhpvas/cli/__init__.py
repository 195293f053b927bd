"""Command line: the same work as in the app, without a screen.

One module holds one command; options, output and what commands share stand beside them. It imports
storage, tasks, data, model, scheme, criteria, evaluation, interpret, recovery, search, export,
report, ui.state and the files at the root.
"""
