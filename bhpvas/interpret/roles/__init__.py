"""Roles: what every head attends to: position, delimiters, rare tokens, syntax, or everything.

A role is a claim, so each comes with its evidence and a test. Two things are counted:

- **Relations.** Of a word that depends on another (Clark et al. 2019, section 4): is its head the
  word that it attends to most ("dependent to head"), or the word that attends to it most ("head to
  dependent")? Special tokens are dropped and the diagonal is zero. The rival is the best fixed
  offset in −3 … 3 on the same sentences.
- **Patterns.** Where the strongest attention of a query token goes; [CLS] and [SEP] are no query
  tokens. One of the delimiters is named only where it passes by itself; else the role is of all of
  them together.

The unit of every test is the sentence, since words of one sentence are not independent: a sentence
is won or lost, and an exact one-sided sign test over sentences is corrected by Holm's method for
all heads tried (for relations: heads × relations × directions). With one dependent a sentence it is
McNemar's exact test of head against offset.
"""

from bhpvas.interpret.roles.collector import RoleCollector, find_roles
from bhpvas.interpret.roles.evidence import Evidence
from bhpvas.interpret.roles.example import Example, examples, followed
from bhpvas.interpret.roles.registry import NO_ROLE, ROLES, RoleSettings
from bhpvas.interpret.roles.relations import DIRECTIONS, Direction, Relation
from bhpvas.interpret.roles.result import Roles, role_changes

__all__ = [
    "DIRECTIONS", "NO_ROLE", "ROLES", "Direction", "Evidence", "Example", "Relation",
    "RoleCollector", "RoleSettings", "Roles", "examples", "find_roles", "followed", "role_changes",
]  # fmt: skip
