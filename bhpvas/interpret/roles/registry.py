"""Registry of roles: what each means, its rule and its source, and where the lines are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from bhpvas.errors import BhpvasError
from bhpvas.stats import SIGNIFICANT


@dataclass(frozen=True)
class Role:
    """A kind of head and all that a person needs to read it."""

    name: str
    title: str
    summary: str
    rule: str
    source: str
    misleads: str


# How many of a sentence's least frequent tokens a rare-token head may point to (Voita et al. 2019).
RARE = 2
_MOSTLY = "for more than half of the tokens, and in significantly more sentences than not"
#: By how much a head's accuracy must exceed its baseline, if not told otherwise.
_MARGIN = 0.1

#: Every role by name. A head that fits several is labelled by the first; broad stands before
#: delimiter, since a head that spreads over half of the sentence does not rest anywhere.
ROLES: dict[str, Role] = {
    one.name: one
    for one in (
        Role(
            name="syntactic",
            title="Follows syntax",
            summary="Among the words, it looks along a dependency relation.",
            rule="Its accuracy on a relation beats the best fixed offset by at least "
            f"{100 * _MARGIN:g} points, and in significantly more sentences than not.",
            source="Clark et al. 2019, section 4; Voita et al. 2019, section 5.2",
            misleads="Most of its attention may still rest on [SEP], which is left out here; and "
            "the parser is a model too, with mistakes of its own.",
        ),
        Role(
            name="previous",
            title="Previous token",
            summary="Each token looks at the one before it.",
            rule=f"The strongest attention goes to the previous token {_MOSTLY}.",
            source="Voita et al. 2019, section 5.1; Clark et al. 2019, section 3.1",
            misleads="It may carry syntax between neighbours; no test can tell it from position.",
        ),
        Role(
            name="next",
            title="Next token",
            summary="Each token looks at the one after it.",
            rule=f"The strongest attention goes to the next token {_MOSTLY}.",
            source="Voita et al. 2019, section 5.1; Clark et al. 2019, section 3.1",
            misleads="It may carry syntax between neighbours; no test can tell it from position.",
        ),
        Role(
            name="self",
            title="Itself",
            summary="Each token looks at itself.",
            rule=f"The strongest attention goes to the token itself {_MOSTLY}.",
            source="Clark et al. 2019, section 3.1",
            misleads="The residual connection hands each token on anyway; this head transforms it.",
        ),
        Role(
            name="rare-token",
            title="Rare tokens",
            summary="It points at the least frequent tokens of the sentence.",
            rule=f"The strongest attention goes to one of the {RARE} least frequent tokens "
            f"{_MOSTLY}.",
            source="Voita et al. 2019, section 5.3",
            misleads="How frequent a token is, the given sentences decide, and among equals the "
            "higher place in the vocabulary counts as rarer.",
        ),
        Role(
            name="broad",
            title="Broad",
            summary="It spreads its attention over the whole sentence.",
            rule="The attention is wider than equal shares for half of the sentence's tokens would "
            f"be, {_MOSTLY}.",
            source="Clark et al. 2019, section 3.3 (entropy)",
            misleads="A broad head can be the one that gathers the sentence.",
        ),
        Role(
            name="delimiter",
            title="Delimiters",
            summary="It rests on [CLS], [SEP] or punctuation.",
            rule=f"The strongest attention goes to a delimiter {_MOSTLY}.",
            source="Clark et al. 2019, section 3.2",
            misleads="Resting there is often how a head does nothing, but [SEP] can also carry "
            "what the sentence as a whole says.",
        ),
    )
}
#: The label of a head that fits no role.
NO_ROLE = "none"


@dataclass(frozen=True)
class RoleSettings:
    """Where the lines are drawn.

    ``min_count``: dependents that a relation needs to be judged. ``margin``: by how much accuracy
    must exceed the baseline (Voita et al. 2019 ask for 10%, here taken as points). ``level``: the
    chance of any false finding in a role. ``majority``: share of the tokens that makes a pattern.
    ``rare_among``: different word pieces that a sentence needs for two of them to count as rare.
    """

    min_count: int = 100
    margin: float = _MARGIN
    level: float = SIGNIFICANT
    majority: float = 0.5
    rare_among: int = 6

    def __post_init__(self) -> None:
        if self.min_count < 1:
            raise BhpvasError(f"A relation needs at least 1 dependent, not {self.min_count}.")
        for name in ("margin", "level", "majority"):
            if not 0 <= getattr(self, name) < 1:
                raise BhpvasError(
                    f"The {name} of a role must be from 0 to below 1, not {getattr(self, name)}."
                )
