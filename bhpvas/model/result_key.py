"""Key of a kept result: the model, the sentences, the mask and the settings that decide it."""

from __future__ import annotations

from typing import Any

from bhpvas.data.dataset import Dataset
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.storage.results import ResultKey


def result_key(
    what: str,
    classifier: Classifier,
    dataset: Dataset,
    mask: HeadMask,
    *,
    weights: str | None = None,
    **settings: Any,
) -> ResultKey:
    """The key of a kept result; ``weights`` are those of the classifier unless others are named."""
    own = classifier.weights.fingerprint if classifier.weights else None
    data = (dataset.name, dataset.fingerprint)
    ordered = tuple(sorted(settings.items()))
    return ResultKey(what, classifier.identity, weights or own, mask, data, ordered)
