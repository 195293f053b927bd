"""Scheme: the tree of steps by which heads were removed and restored, as an immutable value.

It has one form as a file, one as a bundle with weights, and one as a link. It imports storage,
data, model and the files at the root.
"""
