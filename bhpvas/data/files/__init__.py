"""Files as tables: a module for each kind of format, and ``formats``, which knows the endings."""
