"""The views of the Learn page: one module a view, each with ``view(session)``."""
