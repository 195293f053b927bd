"""Comparison: evaluations of the same sentences side by side, in pairs or beside random masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bhpvas import stats, text
from bhpvas.data.dataset import Dataset
from bhpvas.errors import DataError, HeadError
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters, speed_bound
from bhpvas.model.states import StateCache
from bhpvas.progress import Progress, silent

# How often heads of groups of layers are drawn until they are as many together as is asked for.
_DRAWS = 1000
#: The row of the model with all heads.
UNPRUNED = "unpruned"


# --- two evaluations ------------------------------------------------------------------------------


def mcnemar(before: Evaluation, after: Evaluation) -> stats.McNemar:
    """The exact two-sided McNemar test of equal accuracy on the same sentences.

    Of several labels it is that of whole sets; of a score there is none, which raises
    :class:`~bhpvas.errors.BhpvasError`. Where one evaluation is of a part, only the sentences of
    both count. Raises :class:`DataError` where the two are of different datasets.
    """
    _, first, second = _paired(before, after)
    return stats.mcnemar(before.right[first], after.right[second])


def accuracy_change_interval(before: Evaluation, after: Evaluation) -> stats.Change:
    """How the accuracy changed on the same sentences, as shares of 1; negative = lost.

    With Tango's 95% interval (:func:`bhpvas.stats.tango_interval`). Errors as for :func:`mcnemar`.
    """
    _, first, second = _paired(before, after)
    return stats.share_change(before.right[first], after.right[second])


def headline_change(before: Evaluation, after: Evaluation) -> stats.PairedChange:
    """How the task's headline changed on the same sentences, with its 95% interval and p.

    What the p is of says :attr:`~bhpvas.tasks.base.Task.test`. Errors as for :func:`mcnemar`.
    """
    return before.task.change(*_both(before, after))


def change_text(before: Evaluation, after: Evaluation) -> str:
    """How the headline changed, with its interval, in points of a share.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().evaluation.take(range(4))
    >>> found = bhpvas.evaluate(classifier, data)
    >>> change_text(found, found)
    '0.0 points (−49.0 … +49.0)'
    """
    change = headline_change(before, after)
    if not np.isfinite(change.change):
        return "a change that is not defined"
    if before.task.headline.share:
        interval = text.change_interval(change.low, change.high)
        return f"{text.signed(100 * change.change)} points {interval}"
    ends = (text.signed(end, 3) for end in (change.low, change.high))
    return f"{text.signed(change.change, 3)} ({f' {text.ELLIPSIS} '.join(ends)})"


def divergences(before: Evaluation, after: Evaluation) -> np.ndarray:
    """How far each sentence's answer moved: KL(before ‖ after) in nats, float64, 0 = not at all.

    Of what distributions stands at the task's own method. Of the sentences that both evaluations
    have, in the order of the dataset; errors as for :func:`mcnemar`.
    """
    _, first, second = _paired(before, after)
    return before.task.divergences(before.logits[first], after.logits[second])


def flips(before: Evaluation, after: Evaluation) -> np.ndarray:
    """The places in the dataset whose answer changes, int64, ascending.

    When it does says :meth:`~bhpvas.tasks.base.Task.changed_if`. Errors as for :func:`mcnemar`.
    """
    common, _, _ = _paired(before, after)
    return common[before.task.changed(*_both(before, after))]


def outcomes(before: Evaluation, after: Evaluation) -> np.ndarray:
    """What became of each sentence's answer: ``lost``, ``gained``, ``other`` or ``same``.

    Text, of the sentences that both evaluations have; errors as for :func:`mcnemar`.
    """
    return before.task.outcomes(*_both(before, after))


def _both(before: Evaluation, after: Evaluation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The logits of the common sentences in either evaluation, and their labels."""
    _, first, second = _paired(before, after)
    return before.logits[first], after.logits[second], before.labels[first]


def summary(unpruned: Evaluation, found: Evaluation) -> dict[str, Any]:
    """Metrics, predictions and what changed against ``unpruned``; ready for JSON.

    Predictions are numbers of labels, one a sentence in the order of the dataset, or scores, or
    lists of such numbers. ``flipped`` are places in the dataset. What the task has no meaning for
    is None.
    """
    labels, right = found.is_single_label, unpruned.task.right(unpruned.logits, unpruned.labels)
    return found.record() | {
        "label_names": list(found.label_names),
        "predictions": found.task.plain(found.predictions),
        "removed_heads": [str(head) for head in sorted(found.mask.removed)],
        "flipped": flips(unpruned, found).tolist(),
        "flipped_if": found.task.changed_if(unpruned.labels),
        "accuracy_change": accuracy_change_interval(unpruned, found)._asdict() if labels else None,
        "mcnemar": None if right is None else mcnemar(unpruned, found)._asdict(),
        "headline_change": change_record(unpruned, found),
    }


def change_record(before: Evaluation, after: Evaluation) -> dict[str, Any]:
    """How the headline changed, ready for JSON: what is not defined is None."""
    change = headline_change(before, after)._asdict()
    known = {name: value if np.isfinite(value) else None for name, value in change.items()}
    return {"metric": before.task.headline.name} | known | {"test": before.task.test}


def _paired(before: Evaluation, after: Evaluation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The common sentences' places in the dataset and in either evaluation."""
    common, first, second = np.intersect1d(
        before.indices, after.indices, assume_unique=True, return_indices=True
    )
    same = (before.dataset, before.total) == (after.dataset, after.total) and len(common) > 0
    if not same or (before.labels[first] != after.labels[second]).any():
        raise DataError(
            f"The evaluations of {before.dataset} ({before.n} of {before.total} sentences) and of "
            f"{after.dataset} ({after.n} of {after.total} sentences) cannot be compared: "
            "evaluate both masks on the same sentences."
        )
    return common, first, second


# --- many -----------------------------------------------------------------------------------------


def random_order(mask: HeadMask, seed: int) -> list[HeadId]:
    """The kept heads in an order of which any is as likely as any other."""
    heads = list(mask)
    return [heads[place] for place in np.random.default_rng(seed).permutation(len(heads))]


def random_mask(
    every_head: HeadMask, count: int, seed: int, groups: Sequence[Sequence[int]] = ()
) -> HeadMask:
    """The mask without the first ``count`` heads of the random order of a seed.

    Of ``groups`` of layers a head goes in all at once, and counts in each. Raises
    :class:`~bhpvas.errors.HeadError` where no such heads are ``count`` together.
    """
    if not groups:
        return every_head.without(random_order(every_head, seed)[:count])
    columns = [
        frozenset(HeadId(layer, head) for layer in group) - every_head.removed
        for group in groups
        for head in range(every_head.heads)
    ]
    rng = np.random.default_rng(seed)
    for _ in range(_DRAWS):
        gone = frozenset[HeadId]()
        for place in rng.permutation(len(columns)):
            if len(gone) + len(columns[place]) <= count:
                gone |= columns[place]
        if len(gone) == count:
            return every_head.without(gone)
    raise HeadError(f"No heads of all layers of their groups are {count} together.")


def compare(
    classifier: Classifier,
    dataset: Dataset,
    candidates: Mapping[str, tuple[Classifier, HeadMask]],
    *,
    random: int = stats.RANDOM_ORDERS,
    seed: int = 0,
    known: Mapping[str, Evaluation] | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """One row for the unpruned model and one for each candidate.

    Columns as in :func:`measures`; ``random_low``, ``random_median`` and ``random_high`` are the
    5%, 50% and 95% quantiles of the headline of random masks with as many heads removed, neither
    chosen nor recovered; empty where no head is removed, or neurons are as well. Where layers share
    their weights, heads of them go at once wherever those of the candidate do.

    - ``classifier``: the model that was pruned.
    - ``dataset``: what they are evaluated on.
    - ``candidates``: by name, a mask and the classifier under it.
    - ``random``: masks for each number of removed heads, 0 = none.
    - ``seed``: of the first of them.
    - ``known``: evaluations that are there already, by name, or by :data:`UNPRUNED`.
    - ``progress``: counts evaluations.

    Raises :class:`~bhpvas.errors.DataError` where the dataset has a label that the model lacks.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().evaluation.take(range(8))
    >>> mask = classifier.full_mask().without(bhpvas.parse_heads("L0H3,L5H11"))
    >>> table = bhpvas.compare(classifier, data, {"two less": (classifier, mask)}, random=2)
    >>> table[["scheme", "heads_kept", "parameters"]]
         scheme  heads_kept  parameters
    0  unpruned          72    22713986
    1  two less          70    22615490
    """
    plain, every_head = classifier.with_weights(None), classifier.full_mask()
    pruned = len(classifier.geometry.pruned)
    heads_alone = [mask for _, mask in candidates.values() if mask.masked_neurons is None]
    kinds = sorted(
        {_drawn_like(classifier, one) for one in heads_alone if len(one.removed) > pruned}
    )
    wanted = {UNPRUNED: (plain, every_head), **candidates}
    evaluations = dict(known or {})
    total, done = len(wanted.keys() - evaluations.keys()) + random * len(kinds), 0
    cache = StateCache()

    def measured(one: Classifier, mask: HeadMask) -> Evaluation:
        nonlocal done
        found = evaluate(one, dataset, mask, cache=cache)
        done += 1
        progress(done, total)
        return found

    progress(0, total)
    evaluations = {
        name: evaluations.get(name) or measured(*candidate) for name, candidate in wanted.items()
    }
    bands: dict[tuple[int, bool], tuple[float, ...]] = {}
    for count, together in kinds if random else []:
        groups = classifier.geometry.groups if together else ()
        draws = range(seed, seed + random)
        masks = [random_mask(every_head, count - pruned, draw, groups) for draw in draws]
        values = np.array([measured(plain, mask).headline_value for mask in masks])
        bands[count, together] = tuple(stats.band(values))
    table = measures(classifier, evaluations, classifier.encode(dataset).lengths)
    nothing = (np.nan,) * 3
    quantiles = [
        bands.get(_drawn_like(classifier, one.mask), nothing)
        if one.mask.masked_neurons is None
        else nothing
        for one in evaluations.values()
    ]
    table[["random_low", "random_median", "random_high"]] = quantiles
    return table


def _drawn_like(classifier: Classifier, mask: HeadMask) -> tuple[int, bool]:
    """How many heads a random mask beside this one is without, and whether in all layers of their
    groups at once, as its own are.
    """
    groups = classifier.geometry.groups
    return len(mask.removed), bool(groups) and classifier.geometry.removable(mask) == mask


def measures(
    classifier: Classifier, evaluations: Mapping[str, Evaluation], lengths: np.ndarray
) -> pd.DataFrame:
    """One row for each evaluation; the first one is what the others are compared with.

    Accuracies, as shares of 1, come with their 95% Wilson interval, changes against the first with
    Tango's and the McNemar test. Loss and its change, in nats, have Student's interval, F1 one
    after Jeffreys. ``divergence`` is the mean KL divergence, in nats, of a sentence's answer from
    the first one's, with Student's interval. ``f1_of`` says what F1 is of. ``lengths`` are tokens a
    sentence, for the FLOPs.

    Of another task than one label out of several, the columns of the accuracy, F1 and Matthews are
    those of the task's metrics, under their names and with their intervals; ``change`` is that of
    the headline, the first of them, ``p`` that of the task's test, and ``flipped``, ``lost`` and
    ``gained`` count what the task calls changed, worse and better; of several labels ``mcnemar_p``
    is of whole sets.

    ``mcnemar_p`` is of each row alone, ``mcnemar_p_corrected`` for the number of rows that are
    compared with the first (Holm 1979). What compares is NaN in the first row itself, and in others
    of the same model, such as a scheme's start, which do not count among those compared.
    """
    first = next(iter(evaluations.values()))
    table = pd.DataFrame(
        [_row(name, classifier, first, found, lengths) for name, found in evaluations.items()]
    )
    against = [f"{name}{end}" for name in _AGAINST_FIRST for end in ("", "_low", "_high")]
    same = [_same_model(first, found) for found in evaluations.values()]
    for p in ("mcnemar_p", "p"):
        if p in table:
            table.loc[same, p] = np.nan
            corrected = stats.holm(table[p].to_numpy())
            table.insert(table.columns.get_loc(p) + 1, f"{p}_corrected", corrected)
    table.loc[same, against] = np.nan
    return table


def _same_model(one: Evaluation, other: Evaluation) -> bool:
    """Whether two evaluations are of the same heads with the same weights, as far as they show."""
    return one.mask == other.mask and np.array_equal(one.logits, other.logits)


#: Measures that say what changed since the first row.
_AGAINST_FIRST = ("change", "loss_change", "divergence")


def _row(
    name: str, classifier: Classifier, unpruned: Evaluation, found: Evaluation, lengths: np.ndarray
) -> dict[str, Any]:
    mask, geometry = found.mask, classifier.geometry
    loss_change = stats.mean_change(unpruned.losses, found.losses)
    moved = divergences(unpruned, found)
    row: dict[str, Any] = {
        "scheme": name,
        "heads_removed": len(mask.removed),
        "heads_kept": mask.kept_count,
        "neurons_removed": len(mask.neurons or ()),
        "neurons_kept": sum(neurons_kept(geometry, mask)),
        "sentences": found.n,
    }
    of_answers = _of_labels if found.is_single_label else _of_metrics
    answers, intervals = of_answers(unpruned, found, loss_change)
    row |= answers | {
        "divergence": float(moved.mean()),
        "parameters": parameters(geometry, mask),
        "flops_per_sentence": flops_per_sentence(geometry, mask, lengths),
        "speed_bound": speed_bound(geometry, mask, lengths),
    }
    intervals |= {"divergence": stats.mean_interval(moved)}
    for measure, (low, high) in intervals.items():
        row |= {f"{measure}_low": low, f"{measure}_high": high}
    return row


#: What a row says of answers, and the ends of intervals by column.
_Answers = tuple[dict[str, Any], dict[str, tuple[float, float]]]


def _of_labels(unpruned: Evaluation, found: Evaluation, loss_change: stats.Change) -> _Answers:
    """What a row says of one label out of several."""
    change, test = accuracy_change_interval(unpruned, found), mcnemar(unpruned, found)
    row = {
        "accuracy": found.accuracy,
        "change": change.change,
        "flipped": len(flips(unpruned, found)),
        "lost": test.lost,
        "gained": test.gained,
        "mcnemar_p": test.p,
        "loss": found.loss,
        "loss_change": loss_change.change,
        "f1": found.f1,
        "f1_of": found.f1_of,
        "matthews": found.matthews,
    }
    return row, {
        "accuracy": found.accuracy_interval,
        "change": (change.low, change.high),
        "loss": found.loss_interval,
        "loss_change": (loss_change.low, loss_change.high),
        "f1": found.f1_interval(),
    }


def _of_metrics(unpruned: Evaluation, found: Evaluation, loss_change: stats.Change) -> _Answers:
    """What a row says of another task."""
    change, became = headline_change(unpruned, found), outcomes(unpruned, found)
    headline, *others = (name for name in found.measured if name != "loss")
    row = {
        headline: found.measured[headline].value,
        "change": change.change,
        "flipped": int((became != "same").sum()),
        "lost": int((became == "lost").sum()),
        "gained": int((became == "gained").sum()),
        "p": change.p,
        "loss": found.loss,
        "loss_change": loss_change.change,
        **{name: found.measured[name].value for name in others},
    }
    if found.task.right(found.logits, found.labels) is not None:
        row["mcnemar_p"] = mcnemar(unpruned, found).p
    intervals = {
        headline: found.measured[headline][1:],
        "change": (change.low, change.high),
        "loss": found.loss_interval,
        "loss_change": (loss_change.low, loss_change.high),
    }
    return row, intervals | {name: found.measured[name][1:] for name in others}


def pairwise(evaluations: Mapping[str, Evaluation]) -> pd.DataFrame:
    """One row for each pair of evaluations: does the second answer better than the first?

    Columns: ``first``, ``second``; ``change`` of the headline with ``low`` and ``high`` (95%: of an
    accuracy Tango's); ``lost`` and ``gained`` sentences; ``p`` of the task's test, of accuracies
    McNemar's; ``apart``, how many are answered differently; and ``corrected``, p corrected for the
    number of pairs (Holm 1979).
    """
    rows = []
    for (first, one), (second, other) in combinations(evaluations.items(), 2):
        *change, p = headline_change(one, other)
        became = outcomes(one, other)
        rows.append(
            {"first": first, "second": second}
            | dict(zip(("change", "low", "high"), change, strict=True))
            | {name: int((became == name).sum()) for name in ("lost", "gained")}
            | {"p": p, "apart": int((became != "same").sum())}
        )
    table = pd.DataFrame(rows)
    table["corrected"] = stats.holm(table["p"].to_numpy())
    return table


def flip_table(before: Evaluation, evaluations: Mapping[str, Evaluation]) -> pd.DataFrame:
    """One row for each sentence that at least one evaluation answers differently than ``before``.

    The index is the sentence's place in the dataset. A column for each evaluation says whether it
    flips the sentence; ``outcome`` what becomes of it where it does: ``lost`` or ``gained`` under
    every evaluation that flips it, else ``other``.
    """
    became = {name: outcomes(before, one) for name, one in evaluations.items()}
    table = pd.DataFrame(
        {name: one != "same" for name, one in became.items()},
        index=pd.Index(before.indices, name="place"),
    )
    flipped = table.any(axis=1)
    lost, gained = (
        np.all([np.isin(one, (what, "same")) for one in became.values()], axis=0)
        for what in ("lost", "gained")
    )
    table["outcome"] = np.select([lost, gained], ["lost", "gained"], "other")
    return table[flipped]


def flip_patterns(table: pd.DataFrame) -> pd.DataFrame:
    """How many sentences each set of evaluations flips, of a :func:`flip_table`; largest first.

    One column of bool an evaluation, then ``lost``, ``gained``, ``other`` and ``count``. A set that
    flips nothing has no row.
    """
    names = [name for name in table.columns if name != "outcome"]
    counted = table.groupby(names, sort=False)["outcome"].value_counts().unstack(fill_value=0)
    counted = counted.reindex(columns=["lost", "gained", "other"], fill_value=0).reset_index()
    counted.columns.name = None
    counted["count"] = counted[["lost", "gained", "other"]].sum(axis=1)
    return counted.sort_values("count", ascending=False, kind="stable", ignore_index=True)
