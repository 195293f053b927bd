"""Search: proposals of heads to remove, each with its reason, and curves that judge them.

One module holds one method, one registry names them. It imports storage, tasks, data, model,
scheme, criteria, evaluation, recovery and the files at the root.
"""

from bhpvas.search.base import Constraints, Removal, SearchMethod
from bhpvas.search.proposal import Proposal, propose
from bhpvas.search.registry import DEFAULT_METHOD, METHODS, default_method, method_named

__all__ = [
    "DEFAULT_METHOD", "METHODS", "Constraints", "Proposal", "Removal", "SearchMethod",
    "default_method", "method_named", "propose",
]  # fmt: skip
