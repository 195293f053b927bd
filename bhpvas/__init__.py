"""See what every attention head of a BERT classifier does, and remove those it can do without."""

__version__ = "0.1.0"
