"""Parts of a source: which to learn from, which to measure on, and one part divided in two."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bhpvas.data.dataset import Dataset, Split, Splits
from bhpvas.data.names import Names
from bhpvas.data.sampling import calibration_sample, comparable, copy_numbers, stratified_split
from bhpvas.errors import DataError
from bhpvas.text import listed

# Names of parts, the best choice first.
CALIBRATION_PARTS = ["calibration", "train", "training"]
EVALUATION_PARTS = (
    "evaluation test testing validation validation_matched valid val dev development eval"
).split()
_KNOWN: dict[Split, list[str]] = {
    "calibration": CALIBRATION_PARTS,
    "evaluation": EVALUATION_PARTS,
}
_PURPOSES: dict[Split, str] = {"calibration": "learn from", "evaluation": "measure on"}
#: The share of a source in one part that is set aside to learn from.
CALIBRATION_SHARE = 1 / 3


def part_key(name: str) -> str:
    """A part's name without what does not tell two apart, and without the word "set".

    >>> [part_key(name) for name in ("Train", " TEST ", "Dev set", "validation-matched")]
    ['train', 'test', 'dev', 'validation_matched']
    """
    return re.sub(r"[\s_-]+", "_", name.strip().casefold()).removesuffix("_set")


def is_part(name: str) -> bool:
    """Whether a name is that of a part to learn from or to measure on."""
    return any(part_key(name) in known for known in _KNOWN.values())


def named_parts(
    source: str, column: str, cells: Names, given: bool
) -> tuple[dict[str, np.ndarray], str]:
    """The rows of each part that a column names, called as it is first written there.

    Of a column that was ``given`` one name must be known (else :class:`DataError`). Where it was
    found by its name, all must be, or one in a column that is called a split; else there are no
    parts, and what is to be said of that.
    """
    written = [name for name in cells if name]
    known = [name for name in written if is_part(name)]
    if given and not known:
        raise _unknown(f"The column {column} of {source}", written)
    called_split = column.casefold().endswith("split")
    if not known or not (given or called_split or len(known) == len(written)):
        held = f"{'more' if known else 'other'} than names of parts ({listed(written)})"
        held = held if written else "nothing"
        return {}, f"The column {column} is not used as a split: it holds {held}."
    names = dict[str, str]()
    for name in written:
        names.setdefault(part_key(name), name)
    keys = [part_key(name) for name in cells]
    places = [keys.index(key) for key in keys]
    key_codes = np.array(places)[cells.codes(list(cells))]  # [N]
    rows = {names[key]: np.flatnonzero(key_codes == keys.index(key)) for key in sorted(names)}
    return rows, ""


def _unknown(source: str, parts: list[str]) -> DataError:
    return DataError(
        f"{source} has the parts {listed(parts)}, none of which bhpvas knows: call them "
        "calibration and evaluation, or train and test."
    )


@dataclass(frozen=True)
class Parts:
    """The named parts of a source.

    ``labels`` are those of each part, with -1 for one that is withheld; ``take`` gives some rows of
    a part as a dataset. Where a ``column`` names the parts, ``whole`` are the labelled rows of all.
    """

    name: str
    labels: Mapping[str, np.ndarray]
    take: Callable[[str, np.ndarray], Dataset]
    column: str | None = None
    whole: Dataset | None = None

    def splits(self, share: float, seed: int, sentences: int | None) -> Splits:
        """Both splits, of which the calibration has at most so many ``sentences``.

        Where one of them is missing, a part is divided in two.
        """
        rows = self._labelled()
        learn, measure = (self._chosen(rows, split) for split in _KNOWN)
        if learn is None or measure is None:
            part = learn or measure or next(iter(rows))
            note = f"Of {part}, {share:.0%} are set aside to learn from, and the rest measures."
            whole = _noted(self.take(part, rows[part]), note, self._withheld(rows, part))
            splits = divided(replace(whole, name=self.name), share, seed, part)
            left = [f"{other} not used" for other in rows if other != part]
            return replace(splits, made=", ".join([splits.made, *left]))

        calibration, drawn = self._drawn(learn, rows[learn], sentences, seed)
        evaluation = self.take(measure, rows[measure])
        evaluation = _noted(evaluation, self._withheld(rows, measure))
        made = [f"{learn} → calibration{drawn}", f"{measure} → evaluation"]
        unlabelled = sum(int((self.labels[part] < 0).sum()) for part in (learn, measure))
        made += [f"{unlabelled:,} sentences without a label left out"] if unlabelled else []
        made += [f"{part} not used" for part in rows if part not in (learn, measure)]
        if len(made) == 2 and (part_key(learn), part_key(measure)) == ("calibration", "evaluation"):
            made = ["as in the file"]
        both = int(np.isin(copy_numbers(evaluation), copy_numbers(calibration)).sum())
        said = f"{both:,} of the {len(evaluation):,} to measure on also in calibration"
        made += [said] if both else []
        return Splits(calibration, evaluation, ", ".join(made)).named(self.name)

    def only(self, split: Split, sentences: int | None) -> Dataset:
        """One split, as :meth:`splits` has it; the other one is not read.

        Where a column names the parts, and none of them is meant for that, all rows are it, as they
        are of a file without such a column.
        """
        rows = self._labelled()
        part = self._chosen(rows, split)
        if self.whole is not None and len(rows) == 1:
            (one,) = rows
            said = replace(self.whole.provenance, split=self.column, part=one)
            return _noted(replace(self.whole, provenance=said), self._withheld(rows, one))
        if self.whole is not None and part is None:
            note = (
                f"The column {self.column} names no part to {_PURPOSES[split]} ({listed(rows)}): "
                "all rows are read together."
            )
            return _noted(self.whole, note)
        both = [self._chosen(rows, one) for one in _KNOWN]
        if part is None or (self.whole is None and None in both):
            splits = self.splits(CALIBRATION_SHARE, 0, sentences)
            return splits.calibration if split == "calibration" else splits.evaluation
        if split == "calibration":
            found, _ = self._drawn(part, rows[part], sentences, 0)
        else:
            found = _noted(self.take(part, rows[part]), self._withheld(rows, part))
        return replace(found, name=f"{self.name} · {split}")

    def _labelled(self) -> dict[str, np.ndarray]:
        """The rows of each part that have a label; parts without one are not there."""
        rows = {part: np.flatnonzero(given >= 0) for part, given in self.labels.items()}
        rows = {part: given for part, given in rows.items() if given.size}
        if not rows:
            raise DataError(
                f"No part of {self.name} gives its labels (they are empty or -1): take one that "
                "does."
            )
        if len(rows) > 1 and self.whole is None and not any(map(is_part, rows)):
            raise _unknown(self.name, [*rows])
        return rows

    @staticmethod
    def _chosen(rows: Iterable[str], split: Split) -> str | None:
        """The part that is best known for a split."""
        keys = {part_key(part): part for part in rows}
        return next((keys[known] for known in _KNOWN[split] if known in keys), None)

    def _withheld(self, rows: Iterable[str], part: str) -> str:
        """What is said of parts without labels that would measure instead of ``part``."""
        key = part_key(part)
        rank = EVALUATION_PARTS.index(key) if key in EVALUATION_PARTS else None
        better = EVALUATION_PARTS[:rank]
        without = [one for one in self.labels if one not in rows and part_key(one) in better]
        if len(without) > 1:
            return f"The parts {listed(without)} give no labels."
        return f"The part {listed(without)} gives no labels." if without else ""

    def _drawn(
        self, part: str, rows: np.ndarray, sentences: int | None, seed: int
    ) -> tuple[Dataset, str]:
        """The sentences of a part to learn from, and how they were drawn if they were."""
        if part_key(part) == "calibration" or sentences is None or rows.size <= sentences:
            return self.take(part, rows), ""
        # No more are read than are compared.
        chosen = rows[comparable(self.labels[part][rows], sentences, seed)]
        drawn = f" (stratified sample, seed {seed}, {sentences:,} of {rows.size:,})"
        return calibration_sample(self.take(part, chosen), sentences, seed, rows.size), drawn


def divided(whole: Dataset, share: float, seed: int, part: str | None = None) -> Splits:
    """A dataset in two, which is ``part`` of its source where that is given."""
    size = {1 / 3: "one third", 1 / 2: "one half"}.get(share, f"{share:.0%}")
    of = f" of {part}" if part else ""
    made = f"stratified split{of}, seed {seed}, {size} calibration"
    return Splits(*stratified_split(whole, share, seed), made).named(whole.name)


def _noted(dataset: Dataset, *notes: str) -> Dataset:
    said = dataset.provenance
    for note in notes:
        said = said.noted(note)
    return replace(dataset, provenance=said)
