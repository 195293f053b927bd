"""Whether something was done, read from the session and from what is measured already.

Nothing here asks for a computation: what is not known yet is not done yet.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bhpvas.criteria import CRITERIA, DEFAULT_CRITERIA, Scores, removal_order
from bhpvas.heads import HeadId
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.step import Step
from bhpvas.ui.jobs import measuring, models, tasks
from bhpvas.ui.pages.sentence import tasks as sentence_tasks
from bhpvas.ui.state.session import Session, Variant

#: Share of a head's attention on [CLS] and [SEP] from which it is said to rest there.
RESTING = 0.5


def some_heads(session: Session) -> int:
    """An eighth of the heads, at least one: what the first removal takes."""
    return max(session.mask.layers * session.mask.heads // 8, 1)


def half(session: Session) -> int:
    """How many more heads have to go until half of all are gone."""
    every = session.mask.layers * session.mask.heads
    return max(session.mask.kept_count - every // 2, 0)


def scores(session: Session, variant: Variant | None = None) -> Scores | None:
    """The three criteria of BHPVAS, or all, of a variant (default: now), where measured."""
    at = variant or session.now
    every = tasks.known(measuring.scoring(session, at, tuple(CRITERIA)))
    return every or tasks.known(measuring.scoring(session, at, DEFAULT_CRITERIA))


def lowest_by_importance(session: Session, count: int) -> frozenset[HeadId] | None:
    """The kept heads that importance would remove first, where it is measured."""
    found = scores(session)
    if found is None:
        return None
    order = removal_order(found.values["importance"], kept=found.mask.kept, dead=found.dead)
    return frozenset(order[:count])


def at_rest(found: Scores) -> np.ndarray:
    """The share of a head's attention on [CLS] and [SEP], ``[L, H]``; NaN where it is removed."""
    assert found.profile is not None, "stability measures it"
    share = found.profile[..., :2].sum(-1)  # [L, H]
    return np.where(found.mask.kept, share, np.nan)


def resting(found: Scores) -> tuple[frozenset[HeadId], float]:
    """Heads that rest on [CLS] and [SEP], and the share of attention from which they are said to.

    That is half, or, where no head or every one has more, the median.
    """
    shares = at_rest(found)
    share = {head: float(shares[head.layer, head.head]) for head in found.mask}
    least = RESTING
    if len({one > RESTING for one in share.values()}) < 2:
        least = float(np.median(list(share.values())))
    return frozenset(head for head, one in share.items() if one > least), least


def selected_both_habits(session: Session) -> bool:
    """Whether a head that rests on [CLS] and [SEP] is selected, and one that does not."""
    found = scores(session)
    if found is None:
        return False
    idle, chosen = resting(found)[0], set(session.selected_kept)
    return bool(chosen & idle) and bool(chosen - idle)


def strongest(session: Session) -> HeadId | None:
    """The head whose removal would cost the open sentence's answer most, before any is switched."""
    plain = replace(session, switched=frozenset())
    answer = tasks.known(sentence_tasks.prediction(plain, plain.now))
    if answer is None:
        return None
    found = tasks.known(sentence_tasks.contributing(plain, sentence_tasks.explained(plain, answer)))
    if found is None:
        return None
    values = np.nan_to_num(found.removal, nan=-np.inf)
    return HeadId(*map(int, np.unravel_index(int(values.argmax()), values.shape)))


def shares_of_flops(session: Session) -> tuple[float, float]:
    """The shares of the unpruned model's FLOPs on the evaluation sentences that all its neurons
    have, and all its heads.
    """
    from bhpvas.model.cost import flops_per_sentence

    geometry, whole = models.classifier_named(session.model).geometry, session.start.mask
    every = NeuronSet.of(np.ones((geometry.layers, geometry.intermediate_size), dtype=bool))
    lengths = models.lengths(session)
    all_of_it, neurons_gone, heads_gone = (
        flops_per_sentence(geometry, mask, lengths)
        for mask in (whole, whole.without_neurons(every), whole.without(whole.every_head()))
    )
    return 1 - neurons_gone / all_of_it, 1 - heads_gone / all_of_it


def made(session: Session, what: str, since: int = 0) -> list[Step]:
    """The measured steps of a kind, on any branch, from a number of a step on."""
    return [
        step
        for step in session.scheme.steps
        if step.id >= since and step.what == what and measuring.is_measured(session, step)
    ]
