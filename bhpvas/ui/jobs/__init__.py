"""Jobs: work that takes longer than a blink, done once for everybody, in turns, with a bar.

A page asks for a result by a task, and draws what is there. It imports storage, tasks, data, model,
scheme, criteria, evaluation, interpret, charts, ui.state and the files at the root.
"""
