"""Evaluation: what a mask costs, exactly or by estimate, for all sentences, slices and groups.

What is right, and by how much two models differ, is decided here. It imports data, model, scheme,
criteria and the files at the root.
"""
