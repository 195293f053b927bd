"""Storage: where files lie, how they are written whole or not at all, and results kept on disk.

Nothing here knows what is in them. It imports nothing but the files at the root.
"""
