"""The views of the Schemes page: one module a view, each with ``view(session)``."""
