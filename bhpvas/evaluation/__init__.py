"""Evaluation: what a mask costs, exactly or by estimate, for all sentences, slices and groups.

By how much two models differ is decided here. It imports tasks, data, model, scheme, criteria and
the files at the root.
"""
