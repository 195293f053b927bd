"""What one browser session holds: a single immutable value, replaced by pure transitions.

Every callback in the app is one :func:`change` around a transition, so each can be tested without a
browser. Results are not part of it: they live in :mod:`bhpvas.ui.desk`, keyed by what they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import streamlit as st

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.schemes import Scheme

if TYPE_CHECKING:
    from bhpvas.classifier import Classifier
    from bhpvas.datasets import Splits

_KEY = "bhpvas"


@dataclass(frozen=True)
class Wish:
    """A change of the mask that is asked for and not yet measured."""

    what: Literal["remove", "restore"]
    heads: tuple[HeadId, ...]
    method: str = "by hand"

    def applied_to(self, mask: HeadMask) -> HeadMask:
        """The mask once the wish is granted."""
        return mask.without(self.heads) if self.what == "remove" else mask.restored(self.heads)


@dataclass(frozen=True)
class Session:
    """Model, data, scheme, and what the person is about to do.

    ``model`` is None for the sample model, else a folder or hub id. ``selected`` may hold kept and
    removed heads; ``picks`` counts how often it changed outside the ranked table. ``scored`` is the
    mask whose criteria are on screen until newer ones are there. ``cancelled`` names jobs that the
    person stopped, which do not start again by themselves. ``dialog`` says whether another model or
    other data are being chosen; nothing is computed meanwhile.
    """

    model: str | None
    data: Splits
    scheme: Scheme
    selected: frozenset[HeadId] = frozenset()
    picks: int = 0
    wish: Wish | None = None
    scored: HeadMask | None = None
    ablating: bool = False
    cost_asked: bool = False
    cancelled: frozenset[Hashable] = frozenset()
    dialog: bool = False
    error: str | None = None

    @property
    def mask(self) -> HeadMask:
        """The mask of the scheme's current step."""
        return self.scheme.mask

    @property
    def selected_kept(self) -> tuple[HeadId, ...]:
        """The selected heads that are still there, sorted."""
        return tuple(sorted(self.selected - self.mask.removed))

    @property
    def selected_removed(self) -> tuple[HeadId, ...]:
        """The selected heads that are removed, sorted."""
        return tuple(sorted(self.selected & self.mask.removed))

    # --- selecting ------------------------------------------------------------------------------

    def choosing(self, heads: Iterable[HeadId]) -> Session:
        """Exactly these heads selected."""
        return replace(self, selected=frozenset(heads), picks=self.picks + 1)

    def ticking(self, heads: Iterable[HeadId]) -> Session:
        """Exactly these heads selected, in the ranked table itself."""
        return replace(self, selected=frozenset(heads))

    def toggling(self, heads: Collection[HeadId]) -> Session:
        """These heads selected as well; where all of them are selected already, none of them."""
        asked = frozenset(heads)
        if asked <= self.selected:
            return self.choosing(self.selected - asked)
        return self.choosing(self.selected | asked)

    # --- steps ----------------------------------------------------------------------------------

    def wishing(self, what: Literal["remove", "restore"], method: str = "by hand") -> Session:
        """The selected heads asked to go or to come back; measured in the next run."""
        heads = self.selected_kept if what == "remove" else self.selected_removed
        return replace(self, wish=Wish(what, heads, method) if heads else None)

    def granted(self, metrics: dict[str, object]) -> Session:
        """The wish done: a step with its measured metrics, and nothing selected."""
        assert self.wish is not None, "there is no wish to grant"
        step = self.scheme.removing if self.wish.what == "remove" else self.scheme.restoring
        scheme = step(self.wish.heads, method=self.wish.method, metrics=metrics)
        return self.moved(scheme).choosing(())

    def moved(self, scheme: Scheme) -> Session:
        """Another step, or another scheme of the same model; what was asked for before is off."""
        return replace(self, scheme=scheme, wish=None, ablating=False, cost_asked=False)

    def measured(self, metrics: dict[str, object], step_id: int) -> Session:
        """Metrics added to a step."""
        return replace(self, scheme=self.scheme.measured(metrics, step_id))

    def opening(self, text: str, source: str, classifier: Classifier) -> Session:
        """The scheme in a file, if it fits the model; else this session with an error."""
        try:
            scheme = Scheme.from_json(text, source).matches(classifier)
        except BhpvasError as error:
            return replace(self, error=str(error))
        return replace(self.moved(scheme).choosing(()), cancelled=frozenset())

    # --- asking ---------------------------------------------------------------------------------

    def asking_cost(self) -> Session:
        """The estimate shown for whatever is selected, until the mask changes."""
        return replace(self, cost_asked=True)

    def asking_ablation(self) -> Session:
        """The exact effect of each head alone asked for, at the current mask."""
        return replace(self, ablating=True, cancelled=frozenset())

    def asking_dialog(self, shown: bool) -> Session:
        """The choice of model and data opened or closed."""
        return replace(self, dialog=shown)

    # --- jobs -----------------------------------------------------------------------------------

    def cancelling(self, job: Hashable) -> Session:
        """A job stopped: it and the wish that needed it are off."""
        return replace(self, wish=None, ablating=False, cancelled=self.cancelled | {job})

    def retrying(self) -> Session:
        """Whatever was cancelled may run again."""
        return replace(self, cancelled=frozenset())


def current() -> Session:
    """This browser's session."""
    return st.session_state[_KEY]


def is_open() -> bool:
    """Whether this browser has a session yet."""
    return _KEY in st.session_state


def put(session: Session) -> None:
    """Replace this browser's session."""
    st.session_state[_KEY] = session


def change(transition: Callable[[Session], Session]) -> None:
    """Replace this browser's session by what a transition makes of it; an old error goes."""
    put(transition(replace(current(), error=None)))
