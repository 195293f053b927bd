"""Persistence: a person's work on disk and in links, so that no reload or crash loses it.

A session becomes a record and comes back from it. It imports tasks, storage, data, scheme,
recovery, ui.state, ui.jobs and the files at the root.
"""
