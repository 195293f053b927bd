"""See what every attention head of a BERT classifier does, and remove those it can do without."""

from bhpvas.version import __version__

__all__ = ["__version__"]
