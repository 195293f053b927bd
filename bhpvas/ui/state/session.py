"""Session: what one browser holds, as a single immutable value, replaced by pure transitions.

Every callback in the app is one :func:`change` around a transition, so each can be tested without a
browser. Results are not part of it: they live in :mod:`bhpvas.ui.jobs.runner`, keyed by what they
are of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from bhpvas.heads import HeadId, HeadMask
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import Step

if TYPE_CHECKING:
    from bhpvas.criteria.base import Direction
    from bhpvas.data.dataset import Dataset, Split, Splits
    from bhpvas.recovery.finetuning import TuningSettings

    #: How criteria count: the name of each, its weight, and what a high value of it means.
    Weighed = tuple[tuple[str, float, Direction], ...]

#: What a step says of how it was chosen where a person chose heads alone.
NO_SETTINGS: Mapping[str, Any] = {}
_KEY = "bhpvas"
#: Of a field that no reload brings back: what one click makes in seconds, or what is of the moment.
#: All others are kept, in a file by their names or by the ``key`` of their metadata.
PASSING = {"kept": False}
#: Of a field that records of earlier versions lack: there it is as in a fresh session.
LATER = {"later": True}

#: Fields of a session that ask for a job without its name.
Request = Literal["pending", "ablating", "narrowing", "measuring", "recovering"]
#: Fields by which :meth:`Session.asking` asks for a job.
Asked = Literal[
    "ablating", "narrowing", "measuring", "timing", "exporting", "reporting", "recovering",
    "tuning", "curves", "measuring_family",
]  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """A variant of the session's model: which heads it keeps, and the hash of its weights.

    ``weights`` is None where they are the model's own. What is computed is named by this.
    """

    mask: HeadMask
    weights: str | None = None


@dataclass(frozen=True)
class PendingStep:
    """A step that is asked for and not yet measured; ``weights`` are those that a recovery made.

    ``heads`` and feed-forward ``neurons`` go or come back. ``learnt_from`` are the sentences that
    chose them or fitted the weights, ``then`` is a step that is asked for together with it and
    follows it.
    """

    what: Literal["remove", "restore", "recover"]
    heads: tuple[HeadId, ...] = ()
    method: str = "by hand"
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    seed: int | None = None
    weights: str | None = None
    learnt_from: LearntSentences | None = None
    then: PendingStep | None = None
    neurons: NeuronSet | None = None

    def applied_to(self, variant: Variant) -> Variant:
        """What the step makes of the current variant."""
        if self.what == "recover":
            return replace(variant, weights=self.weights)
        mask, goes = variant.mask, self.what == "remove"
        mask = mask.without(self.heads) if goes else mask.restored(self.heads)
        if self.neurons is not None:
            change = mask.without_neurons if goes else mask.with_neurons
            mask = change(self.neurons)
        return replace(variant, mask=mask)

    def completed(self, scheme: Scheme, metrics: dict[str, object]) -> Scheme:
        """The scheme with the step, which keeps what was measured."""
        how: Any = {"seed": self.seed, "learnt_from": self.learnt_from}
        if self.what == "recover":
            assert self.weights is not None, "a recovery has weights"
            return scheme.recovered(self.weights, self.method, self.settings, metrics, **how)
        step = scheme.removing if self.what == "remove" else scheme.restoring
        return step(self.heads, self.method, self.settings, metrics, **how, neurons=self.neurons)


@dataclass(frozen=True)
class Search:
    """What a search for heads to remove was asked for: as in :func:`bhpvas.search.propose`.

    ``weighed`` is for a method that weighs criteria; empty, it keeps to its own weights.
    """

    method: str
    heads: int
    protected: frozenset[HeadId] = frozenset()
    min_per_layer: int = 0
    max_drop: float | None = None
    seed: int = 0
    weighed: Weighed = ()

    @property
    def options(self) -> dict[str, Any]:
        """What the method is told beyond the rest."""
        if not self.weighed:
            return {}
        return {
            "weights": {name: weight for name, weight, _ in self.weighed},
            "directions": {name: direction for name, _, direction in self.weighed},
        }


@dataclass(frozen=True)
class FamilySearch:
    """What a search to a target was asked for: as in :func:`bhpvas.search.target.narrow_to`.

    ``targets`` are all those that one search is for, written as ``flops=0.5``.
    """

    targets: tuple[str, ...]
    method: str
    units: tuple[str, ...]
    multiple_of: int | None = None
    protected: frozenset[HeadId] = frozenset()
    min_per_layer: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Curves:
    """Which curves of accuracy were asked for: methods and recoveries (None = without one).

    ``every`` is the number of heads from one point to the next, ``random`` that of random orders.
    """

    methods: tuple[str, ...]
    recoveries: tuple[str | None, ...]
    every: int
    random: int
    seed: int = 0


@dataclass(frozen=True)
class DeletedSteps:
    """Steps that were deleted, and where the person stood before and after: (current, redo)."""

    steps: tuple[Step, ...]
    before: tuple[int, tuple[int, ...]]
    after: tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Opened:
    """The sentence on the Sentence page: one of a ``split`` (by its ``row``), or a typed one."""

    text: str
    pair: str | None = None
    row: int | None = None
    split: Split = "evaluation"


@dataclass(frozen=True)
class Session:
    """Model, data, scheme, and what the person is about to do.

    ``model`` is None for the sample model, else a folder or hub id; ``parser`` the spaCy pipeline
    that parses, ``threshold`` the probability from which a model of several labels answers one,
    None where nobody named one. ``selected`` may hold kept and
    removed heads, ``widths`` are the layers whose feed-forward part is selected, in order, each
    with how many neurons are to be kept; ``picks`` counts how often the heads changed outside their
    tables. ``scored`` is the variant whose criteria are on screen until newer ones are there.
    ``ablating`` and ``narrowing`` say that every head and every width is to be measured.
    ``cancelled`` names jobs that the person stopped, which do not start again by themselves.
    ``dialog`` says whether another model or other data are being chosen; nothing is computed
    meanwhile. ``sentences`` are the selected ones of the ``split`` that is looked at, by their
    places in it. ``opened`` is the sentence that is read closely, the first where none was chosen;
    ``switched`` are heads that are off (or, where the scheme removed them, on) for that sentence
    alone; ``labelled`` says whether head maps show the heads' roles, ``heads_only`` that they leave
    the feed-forward parts out. ``measuring`` says that every step is to be measured, ``timing``
    which latencies are, ``exporting`` and ``reporting`` which export and which report are to be
    made; ``deleted`` are steps that can be put back, the last first to come back. ``search`` is the
    proposal that was asked for, ``turned`` the heads that the person turned over in it,
    ``family`` the search to targets that was asked for and ``target`` the one of them that is
    looked at; of ``measuring_family`` all that it finds is to be measured. ``recovering`` is the
    recovery that is to be the next step, ``tuning`` the training that is, ``curves`` the evidence.
    """

    model: str | None
    data: Splits = field(metadata=PASSING)
    scheme: Scheme
    selected: frozenset[HeadId] = frozenset()
    widths: tuple[tuple[int, int], ...] = field(default=(), metadata=LATER)
    picks: int = 0
    pending: PendingStep | None = field(default=None, metadata={"key": "wish"})
    scored: Variant | None = field(default=None, metadata=PASSING)
    ablating: bool = False
    narrowing: bool = field(default=False, metadata=LATER)
    measuring: bool = False
    timing: Hashable | None = field(default=None, metadata=PASSING)
    exporting: Hashable | None = field(default=None, metadata=PASSING)
    reporting: Hashable | None = field(default=None, metadata=PASSING)
    cost_asked: bool = False
    cancelled: frozenset[Hashable] = field(default=frozenset(), metadata=PASSING)
    dialog: bool = field(default=False, metadata=PASSING)
    error: str | None = field(default=None, metadata=PASSING)
    notice: str | None = field(default=None, metadata=PASSING)
    opened: Opened | None = None
    switched: frozenset[HeadId] = frozenset()
    labelled: bool = False
    heads_only: bool = field(default=False, metadata=LATER)
    split: Split = "evaluation"
    sentences: frozenset[int] = frozenset()
    search: Search | None = None
    turned: frozenset[HeadId] = frozenset()
    family: FamilySearch | None = field(default=None, metadata=LATER)
    target: str | None = field(default=None, metadata=LATER)
    measuring_family: FamilySearch | None = field(default=None, metadata=PASSING)
    recovering: str | None = None
    tuning: TuningSettings | None = None
    curves: Curves | None = None
    parser: str | None = field(default=None, metadata=LATER)
    threshold: float | None = field(default=None, metadata=LATER)
    deleted: tuple[DeletedSteps, ...] = field(default=(), metadata={"key": "cuts"})

    @property
    def looked_at(self) -> Dataset:
        """The sentences of the split that is looked at."""
        return self.sentences_of(self.split)

    def sentences_of(self, split: Split) -> Dataset:
        """The sentences of a split."""
        return self.data.evaluation if split == "evaluation" else self.data.calibration

    @property
    def mask(self) -> HeadMask:
        """The mask of the scheme's current step."""
        return self.scheme.mask

    def at(self, step_id: int) -> Variant:
        """The model at any step of the scheme."""
        return Variant(self.scheme.mask_at(step_id), self.scheme.weights_at(step_id))

    @property
    def start(self) -> Variant:
        """The unpruned model."""
        return self.at(0)

    @property
    def now(self) -> Variant:
        """The model at the scheme's current step."""
        return self.at(self.scheme.current)

    @property
    def here(self) -> Variant:
        """The model at the current step with what is switched for the open sentence alone."""
        return replace(self.now, mask=self.mask_here)

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
        """Exactly these heads selected, those that are not in the model excepted."""
        return replace(self.ticking(heads), picks=self.picks + 1)

    def ticking(self, heads: Iterable[HeadId]) -> Session:
        """Exactly these heads selected, in a table of heads itself."""
        return replace(self, selected=frozenset(heads) - self.mask.pruned)

    def toggling(self, heads: Collection[HeadId]) -> Session:
        """These heads selected as well; where all of them are selected already, none of them."""
        asked = frozenset(heads) - self.mask.pruned
        if asked <= self.selected:
            return self.choosing(self.selected - asked)
        return self.choosing(self.selected | asked)

    def turning_over(self, heads: Iterable[HeadId]) -> Session:
        """Each of these heads selected where it was not, and the other way round."""
        return self.choosing(self.selected ^ frozenset(heads))

    def clearing(self) -> Session:
        """Nothing selected."""
        return replace(self.choosing(()), widths=())

    def choosing_width(self, layer: int, kept: int) -> Session:
        """A layer's feed-forward part selected, with so many neurons to be kept."""
        return replace(self, widths=tuple(sorted((dict(self.widths) | {layer: kept}).items())))

    def turning_part(self, layer: int, kept: int) -> Session:
        """A layer's feed-forward part selected so, or not any more where it was."""
        left = tuple(one for one in self.widths if one[0] != layer)
        return (
            replace(self, widths=left) if left != self.widths else self.choosing_width(layer, kept)
        )

    # --- one sentence ---------------------------------------------------------------------------

    @property
    def sentence(self) -> Opened:
        """The sentence that is read closely."""
        return self.opened or self.sentence_at(0)

    def sentence_at(self, row: int, split: Split = "evaluation") -> Opened:
        """A sentence of a split."""
        data = self.sentences_of(split)
        pair = None if data.pairs is None else data.pairs[row]
        return Opened(data.texts[row], pair, row, split)

    @property
    def truth(self) -> Any:
        """The label of the open sentence, in the form of the task's; None of one that was typed."""
        said = self.sentence
        return None if said.row is None else self.sentences_of(said.split).labels[said.row]

    def reading(self, sentence: Opened) -> Session:
        """Another sentence read closely, by the scheme as it is."""
        return replace(self, opened=sentence, switched=frozenset())

    @property
    def mask_here(self) -> HeadMask:
        """The scheme's mask with what is switched for this sentence alone."""
        mask = self.mask
        return mask.without(self.switched - mask.removed).restored(self.switched & mask.removed)

    def switching(self, heads: Collection[HeadId]) -> Session:
        """These heads switched over for this sentence, or back."""
        return replace(self, switched=self.switched ^ (frozenset(heads) - self.mask.pruned))

    def labelling(self, shown: bool) -> Session:
        """Roles written on every head map, or on none."""
        return replace(self, labelled=shown)

    def with_feed_forward(self, shown: bool) -> Session:
        """The feed-forward parts beside every head map, or none."""
        return replace(self, heads_only=not shown)

    # --- some sentences -------------------------------------------------------------------------

    def choosing_sentences(self, places: Iterable[int]) -> Session:
        """Exactly these sentences selected, of those looked at."""
        return replace(self, sentences=frozenset(places))

    def looking_at(self, split: Split) -> Session:
        """The sentences of a split looked at; none of them selected yet."""
        if split == self.split:
            return self
        return replace(self, split=split, sentences=frozenset())

    def opening_sentence(self, place: int) -> Session:
        """One of the sentences looked at read closely."""
        return self.reading(self.sentence_at(place, self.split))

    # --- steps ----------------------------------------------------------------------------------

    def requesting(
        self,
        what: Literal["remove", "restore"],
        neurons: NeuronSet | None = None,
        settings: Mapping[str, Any] = NO_SETTINGS,
    ) -> Session:
        """The selected heads, and some neurons, asked to go or to come back; measured in the next
        run. ``settings`` say how the neurons were chosen.
        """
        heads = self.selected_kept if what == "remove" else self.selected_removed
        pending = None
        if heads or neurons:
            pending = PendingStep(what, heads, settings=dict(settings), neurons=neurons)
        return replace(self, pending=pending, cancelled=frozenset())

    def learning_from(self, fingerprints: Iterable[int]) -> Session:
        """The requested step told by which sentences it was chosen."""
        assert self.pending is not None, "no step was requested"
        learnt = LearntSentences.of(fingerprints)
        return replace(self, pending=replace(self.pending, learnt_from=learnt))

    def completed(self, metrics: dict[str, object]) -> Session:
        """The requested step done with its measured metrics, and nothing selected.

        The one that was requested together with it is requested from here on.
        """
        assert self.pending is not None, "no step was requested"
        done = self.moved(self.pending.completed(self.scheme, metrics)).clearing()
        return replace(done, pending=self.pending.then)

    def moved(self, scheme: Scheme) -> Session:
        """Another step, or another scheme of the same model; what was asked for before is off."""
        return replace(
            self,
            scheme=scheme,
            pending=None,
            ablating=False,
            narrowing=False,
            cost_asked=False,
            switched=frozenset(),
            search=None,
            turned=frozenset(),
            recovering=None,
            tuning=None,
        )

    def measured(self, metrics: dict[str, object], step_id: int) -> Session:
        """Metrics added to a step."""
        return replace(self, scheme=self.scheme.measured(metrics, step_id))

    def opening(self, scheme: Scheme) -> Session:
        """Another scheme of the same model instead of this one."""
        opened = self.moved(scheme).clearing()
        return replace(opened, cancelled=frozenset(), deleted=(), measuring=False)

    # --- the tree -------------------------------------------------------------------------------

    def naming(self, name: str) -> Session:
        """The scheme under another name; an empty one changes nothing."""
        name = " ".join(name.split())
        return replace(self, scheme=self.scheme.renamed(name)) if name else self

    def noting(self, step_id: int, note: str) -> Session:
        """A step's note replaced."""
        return replace(self, scheme=self.scheme.noted(step_id, note.strip()))

    def deleting(self, step_id: int) -> Session:
        """A step deleted with all that came after it, until it is put back."""
        ids, scheme = self.scheme.subtree(step_id), self.scheme.without_step(step_id)
        deleted = DeletedSteps(
            steps=tuple(step for step in self.scheme.steps if step.id in ids),
            before=(self.scheme.current, self.scheme.redo),
            after=(scheme.current, scheme.redo),
        )
        return replace(self.moved(scheme), deleted=(*self.deleted, deleted))

    def putting_back(self) -> Session:
        """The steps deleted last put back; where nobody moved since, all is as it was."""
        last = self.deleted[-1]
        scheme = self.scheme.rejoined(last.steps)
        if (scheme.current, scheme.redo) == last.after:
            current, redo = last.before
            scheme = replace(scheme, current=current, redo=redo)
        return replace(self.moved(scheme), deleted=self.deleted[:-1])

    # --- proposals ------------------------------------------------------------------------------

    def searching(self, search: Search | None) -> Session:
        """Heads to remove asked for from here on, or the proposal dropped."""
        return replace(self, search=search, turned=frozenset(), cancelled=frozenset())

    def turning(self, heads: Collection[HeadId]) -> Session:
        """Kept heads turned over in the proposal, or back: one that would go stays, or goes."""
        return replace(self, turned=self.turned ^ (frozenset(heads) - self.mask.removed))

    def searching_family(self, family: FamilySearch, target: str) -> Session:
        """A search to targets asked for, one of which is looked at."""
        return replace(self, family=family, target=target, cancelled=frozenset())

    def looking_at_target(self, target: str) -> Session:
        """Another target of the search looked at."""
        return replace(self, target=target)

    def from_start(self) -> Session:
        """The start of the scheme as the current step: what is asked for next begins a branch."""
        return self.moved(self.scheme.at(0))

    def asking_for(self, pending: PendingStep) -> Session:
        """A step asked for; measured in the next run."""
        return replace(self, pending=pending, recovering=None, tuning=None, cancelled=frozenset())

    # --- asking ---------------------------------------------------------------------------------

    def asking_cost(self) -> Session:
        """The estimate shown for whatever is selected, until the mask changes."""
        return replace(self, cost_asked=True)

    def asking(self, what: Asked, value: Any = True) -> Session:
        """A job asked for by a field, which gets a value; what was cancelled may run again."""
        asked: dict[str, Any] = {what: value}
        return replace(self, **asked, cancelled=frozenset())

    def asking_dialog(self, shown: bool) -> Session:
        """The choice of model and data opened or closed."""
        return replace(self, dialog=shown)

    # --- jobs -----------------------------------------------------------------------------------

    def cancelling(self, job: Hashable, request: Request | None = None) -> Session:
        """A job stopped: what asked for it is off, by the job's name or by the field that did."""
        by_name = ("timing", "exporting", "reporting")
        off: dict[str, Any] = {name: None for name in by_name if getattr(self, name) == job}
        if request is not None:
            off[request] = getattr(Session, request)  # as in a fresh session
        return replace(self, **off, cancelled=self.cancelled | {job})

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


def change(transition: Callable[..., Session], *given: Any) -> None:
    """Replace this browser's session by what a transition makes of it; an old message goes.

    The transition gets the session and whatever is ``given``, as by a callback of a widget.
    """
    put(transition(replace(current(), error=None, notice=None), *given))
