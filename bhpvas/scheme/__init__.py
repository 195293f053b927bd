"""Scheme: the tree of steps by which heads were removed and restored, as an immutable value.

``schema`` describes its file, ``bundle`` packs that with weights, and ``link`` packs it into an
address. It imports tasks, storage, data, model and the files at the root.
"""
