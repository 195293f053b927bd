"""Label names of a config: numbered by place, as text, and where they are said in two ways."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bhpvas.errors import ModelError

# How a config numbers its labels, and calls those without a name.
_NUMBER = re.compile(r"\s*\d{1,6}\s*", re.ASCII)
_UNNAMED = re.compile(r"LABEL_\d+")


def with_plain_labels(config: dict[str, Any], name: str) -> dict[str, Any]:
    """A config whose labels are numbered by place where it lists them, without space around.

    Without an id2label they are those of label2id, or have the names that transformers gives them.
    Raises :class:`ModelError` where they are not numbered, or others than are counted.
    """
    labels, numbers = config.get("id2label"), config.get("label2id")
    if not isinstance(numbers, dict) or any(type(one) is not int for one in numbers.values()):
        numbers = {}
    if labels is None and numbers and sorted(numbers.values()) == [*range(len(numbers))]:
        labels = {number: label for label, number in numbers.items()}
    count = config.get("num_labels")
    if labels is None:
        labels = [f"LABEL_{number}" for number in range(2 if count is None else count)]
    if isinstance(labels, list):
        labels = dict(enumerate(labels))
    if not isinstance(labels, dict) or not all(_NUMBER.fullmatch(str(one)) for one in labels):
        raise ModelError(
            f"The id2label of {name!r} is {reprlib.repr(labels)}: its labels must be numbered from "
            "0 on, and each name must be text."
        )
    if count is not None and count != len(labels):
        if not all(_UNNAMED.fullmatch(str(label)) for label in labels.values()):
            raise ModelError(
                f"The config.json of {name!r} names {len(labels)} labels in its id2label and "
                f"counts {count} in num_labels: write both as the model was trained."
            )
        labels = {number: f"LABEL_{number}" for number in range(count)}  # as transformers does
    plain = {
        str(int(number)): label.strip() if isinstance(label, str) else label
        for number, label in labels.items()
    }
    # transformers asks for both, and bhpvas for the first alone.
    stated = numbers or {str(label): int(number) for number, label in plain.items()}
    return config | {"id2label": plain, "label2id": stated}


def label_notes(config: Mapping[str, Any], label_names: Sequence[str]) -> Iterator[str]:
    """Where a config numbers a label in two ways."""
    stated = config.get("label2id") or {}
    for number, label in enumerate(label_names):
        if label_names.count(label) == 1 and stated.get(label, number) != number:
            yield (
                f"The config.json numbers {label!r:.80} {number} in its id2label, which is read, "
                f"and {stated[label]} in its label2id."
            )
            return


def names_of(labels: Mapping[Any, Any], name: str) -> tuple[str, ...]:
    """The labels in a config's ``id2label`` by their numbers.

    Raises :class:`ModelError` where they are not numbered from 0, or one is no text.
    """
    numbered = {int(number): label for number, label in labels.items()}
    found: list[str] = []
    for number in range(len(numbered)):
        label = numbered.get(number)
        if not isinstance(label, str):
            raise ModelError(
                f"The id2label of {name!r} gives label {number} the name {reprlib.repr(label)}: "
                "its labels must be numbered from 0 on, and each name must be text."
            )
        found.append(label)
    return tuple(found)
