"""Charts: data in, plotly figure out, with no state.

Each figure also works in a notebook. It imports tasks, data, model, scheme, criteria,
evaluation, interpret, recovery, search and the files at the root.
"""
