"""Interpretation: what heads attend to, their roles, one sentence closely, maps of sentences.

Parses and the alignment of words and word pieces belong to it. It imports storage, tasks, data,
model, criteria, evaluation and the files at the root.
"""
