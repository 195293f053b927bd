"""The errors that a person's input can cause; each message is one sentence fit for the screen."""

from __future__ import annotations


class BhpvasError(ValueError):
    """Base of every error that names a value, its place and the way out; a ``ValueError``.

    >>> import bhpvas
    >>> try:
    ...     bhpvas.parse_heads("L0H3,7")
    ... except bhpvas.BhpvasError as error:
    ...     print(error)
    '7' names no head: write layer and head as in L3H7.
    """


class HeadError(BhpvasError):
    """A head that the geometry does not have, or text that names no head."""


class DataError(BhpvasError):
    """A file, column, label or sentence that cannot be used."""


class ModelError(BhpvasError):
    """A model that cannot be loaded or is not one that bhpvas supports."""


class SchemeError(BhpvasError):
    """A scheme file that is damaged, of another version, or made for another model."""


class WorkspaceError(BhpvasError):
    """Kept work that is not there (any more), is damaged, or cannot be written."""


class LimitError(BhpvasError):
    """More than the server of a public app allows, or than there is memory for."""


class LinkError(BhpvasError):
    """A link that is damaged, or a scheme that no address can hold."""
