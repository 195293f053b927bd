"""Model: a classifier and all that runs it, measures it or makes it smaller.

`families` holds one file for each family of models; no other module knows a family's names. It
imports storage, tasks, data and the files at the root.
"""
