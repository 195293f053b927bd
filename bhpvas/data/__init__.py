"""Data: labelled sentences, their splits and samples, and every way in from files and hub.

What may be too much for the memory waits on disk. It imports storage, tasks and the files at the
root.
"""
