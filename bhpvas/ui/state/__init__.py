"""State: what one browser holds, as one immutable value, and what a server allows.

Transitions are pure; a callback is one line around one of them. It imports data, scheme, criteria,
recovery and the files at the root.
"""
