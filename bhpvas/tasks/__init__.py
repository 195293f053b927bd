"""Tasks: what a model's outputs answer, one module a kind, and which kind a config asks for.

Loss, what is right or better, metrics with intervals, what counts as changed and its test: whoever
needs one of them asks the task of the model, and scipy and torch are imported where they are used,
so that a config is read without them. It imports the files at the root.
"""
