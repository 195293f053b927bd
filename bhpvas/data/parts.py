"""Parts of a source: which to learn from, which to measure on, and one part divided in two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.sampling import calibration_sample, comparable, copy_numbers, stratified_split
from bhpvas.errors import DataError
from bhpvas.text import listed

# Names of parts, the best choice first.
CALIBRATION_PARTS = ["calibration", "train", "training"]
EVALUATION_PARTS = (
    "evaluation test testing validation validation_matched valid val dev development eval"
).split()


def splits_of_parts(
    name: str,
    labels: Mapping[str, np.ndarray],
    take: Callable[[str, np.ndarray], Dataset],
    share: float,
    seed: int,
    sentences: int | None,
) -> Splits:
    """Splits of a source that has named parts.

    ``labels`` are those of each part, with -1 for one that is withheld; ``take`` gives some rows of
    a part as a dataset.
    """
    learn, measure, rows = chosen_parts(name, labels)
    if learn is None or measure is None:
        part = learn or measure or next(iter(rows))
        whole = take(part, rows[part])
        note = f"Of {part}, {share:.0%} are set aside to learn from, and the rest measures."
        whole = replace(whole, name=name, provenance=whole.provenance.noted(note))
        splits = divided(whole, share, seed, part)
        left = [f"{other} not used" for other in rows if other != part]
        return replace(splits, made=", ".join([splits.made, *left]))

    chosen = rows[learn]
    made = [f"{learn} → calibration", f"{measure} → evaluation"]
    if learn != "calibration" and sentences is not None and chosen.size > sentences:
        made[0] += f" (stratified sample, seed {seed}, {sentences:,} of {chosen.size:,})"
        # No more are read than are compared.
        chosen = chosen[comparable(labels[learn][chosen], sentences, seed)]
        calibration = calibration_sample(take(learn, chosen), sentences, seed)
    else:
        calibration = take(learn, chosen)
    evaluation = take(measure, rows[measure])
    unlabelled = sum(int((labels[part] < 0).sum()) for part in (learn, measure))
    made += [f"{unlabelled:,} sentences without a label left out"] if unlabelled else []
    made += [f"{part} not used" for part in rows if part not in (learn, measure)]
    if (learn, measure) == ("calibration", "evaluation") and len(made) == 2:
        made = ["as in the file"]
    both = int(np.isin(copy_numbers(evaluation), copy_numbers(calibration)).sum())
    made += [f"{both:,} of the {len(evaluation):,} to measure on also in calibration"] * (both > 0)
    return Splits(calibration, evaluation, ", ".join(made)).named(name)


def chosen_parts(
    name: str, labels: Mapping[str, np.ndarray]
) -> tuple[str | None, str | None, dict[str, np.ndarray]]:
    """The parts to learn from and to measure on, and of each part the rows that have a label."""
    rows = {part: np.flatnonzero(given >= 0) for part, given in labels.items()}
    rows = {part: given for part, given in rows.items() if given.size}
    if not rows:
        raise DataError(
            f"No part of {name} gives its labels (they are empty or -1): take one that does."
        )
    learn, measure = (
        next((part for known in parts for part in rows if part == known), None)
        for parts in (CALIBRATION_PARTS, EVALUATION_PARTS)
    )
    if len(rows) > 1 and learn is None and measure is None:
        raise DataError(
            f"{name} has the parts {listed(rows)}, none of which bhpvas knows: call them "
            "calibration and evaluation, or train and test."
        )
    return learn, measure, rows


def divided(whole: Dataset, share: float, seed: int, part: str | None = None) -> Splits:
    """A dataset in two, which is ``part`` of its source where that is given."""
    size = {1 / 3: "one third", 1 / 2: "one half"}.get(share, f"{share:.0%}")
    of = f" of {part}" if part else ""
    made = f"stratified split{of}, seed {seed}, {size} calibration"
    return Splits(*stratified_split(whole, share, seed), made).named(whole.name)
