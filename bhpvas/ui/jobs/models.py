"""Models of the jobs: loaded classifiers, the weights that steps changed, and keys of results.

Two models stay loaded at a time; each is named by its folder or hub id and the state of its files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import BhpvasError, ModelError
from bhpvas.model.classifier import Classifier
from bhpvas.model.files import stamp
from bhpvas.model.result_key import result_key
from bhpvas.model.weights import Weights, weights_file
from bhpvas.scheme.scheme import Scheme
from bhpvas.storage.eviction import evict_files
from bhpvas.storage.paths import workspaces_folder
from bhpvas.storage.results import ResultKey
from bhpvas.ui.jobs.runner import cores, jobs_at_once
from bhpvas.ui.state import limits
from bhpvas.ui.state.session import Session, Variant

if TYPE_CHECKING:
    from bhpvas.evaluation.data_record import DataRecord
    from bhpvas.tasks.base import Task as AnswerTask

#: Disk that the weights of all sessions may take: some hundred compensations of a BERT-base.
MOST_WEIGHTS = 4 * 2**30


def _forget(classifier: Classifier) -> None:
    """What holds on to a model leaves with it."""
    _changed.clear()  # those of other models are read again


def classifier_named(source: str | None) -> Classifier:
    """A loaded classifier by folder or hub id, as its files are now; None is the sample model."""
    return _loaded(source, () if source is None else stamp(Path(source).expanduser()))


def task_of(session: Session) -> AnswerTask:
    """What the outputs of the session's model answer."""
    return opened(session).task


def opened(session: Session) -> Classifier:
    """The session's classifier as it was loaded, with the threshold that the person chose."""
    return with_threshold(classifier_named(session.model), session.threshold)


def with_threshold(classifier: Classifier, threshold: float | None) -> Classifier:
    """A classifier whose task has another threshold; None = as usual.

    Raises :class:`BhpvasError` where its task has none, or where no probability is given.
    """
    if threshold is None:
        return classifier
    return replace(classifier, task=classifier.task.with_threshold(threshold))


@st.cache_resource(show_spinner=False, max_entries=2, on_release=_forget)
def _loaded(source: str | None, files: tuple[Hashable, ...]) -> Classifier:
    import torch

    from bhpvas.model.classifier import load_classifier

    # Jobs that work at once share the cores; more threads than cores stall each other.
    torch.set_num_threads(min(torch.get_num_threads(), max(cores() // jobs_at_once(), 1)))
    return load_classifier(source)


def check_model(session: Session) -> None:
    """Raises :class:`ModelError` where the files of the model have changed or are gone."""
    try:
        classifier_of(session, session.start)
    except BhpvasError as error:
        raise ModelError(
            f"The model is not what it was when this page was opened. {error}"
        ) from error


def only_masks(session: Session) -> str | None:
    """Why the weights of the session's model cannot lose what its mask removes; None where they
    can.
    """
    try:
        classifier_named(session.model).check_removal(session.mask)
    except BhpvasError as error:
        return str(error)
    return None


def groups(session: Session) -> tuple[tuple[int, ...], ...]:
    """Layers of the session's model that share their weights; empty where each has its own."""
    return classifier_named(session.model).geometry.groups


@st.cache_resource(show_spinner=False)
def sample_data() -> Splits:
    """The sentences that ship with the project."""
    from bhpvas.data.reading import sample_splits

    return sample_splits()


@st.cache_resource(show_spinner=False)
def _weights() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bhpvas-weights-")


def weights_folder() -> Path:
    """Where the weights of this server's schemes lie: beside the works that are kept.

    On a server for strangers they lie in a folder that goes when it ends. Each file is named by the
    hash of its content and never changes, so sessions may share it.
    """
    kept = workspaces_folder()
    if not limits.current().hosted:
        with suppress(OSError):
            kept.mkdir(parents=True, exist_ok=True)
        if os.access(kept, os.W_OK):
            return kept
    return Path(_weights().name)


def keep_weights(weights: Weights) -> str:
    """Put weights into the folder; returns the hash that names them.

    Those that nobody used for longest leave when all take more than :data:`MOST_WEIGHTS`.
    """
    path = weights.save(weights_folder())
    evict_files(weights_folder(), "*.safetensors", most_bytes=MOST_WEIGHTS, spare=path)
    return weights.fingerprint


def classifier_of(session: Session, variant: Variant) -> Classifier:
    """The session's classifier with the weights of a variant of it.

    Raises :class:`ModelError` where they are not in the folder (any more), and
    :class:`SchemeError` where the model's files are others than those that the scheme is of.
    """
    classifier = opened(session)
    session.scheme.matches(classifier)
    if variant.weights is None:
        return classifier
    file = weights_file(weights_folder(), variant.weights)
    with suppress(OSError):  # gone, or in a folder that is only read
        os.utime(file)
    return _changed(classifier.identity, variant.weights, classifier, session.scheme)


@st.cache_resource(show_spinner=False, max_entries=2)
def _changed(model: str, weights: str, _classifier: Classifier, _scheme: Scheme) -> Classifier:
    # Weights that are being measured are of no step yet.
    return _scheme.recovered(weights, "").on(_classifier, weights_folder())


def named(session: Session, variant: Variant) -> tuple[Hashable, ...]:
    """What names a variant of any model in the key of a result."""
    return (opened(session).identity, variant)


def lasting(
    what: str, session: Session, variant: Variant, data: Dataset, **settings: Any
) -> ResultKey:
    """The key of a result that is kept on disk as well."""
    classifier = opened(session)
    return result_key(what, classifier, data, variant.mask, weights=variant.weights, **settings)


def lengths(session: Session, data: Dataset | None = None) -> Any:
    """Tokens in each sentence of the evaluation split, or of ``data``."""
    return _lengths_in(session.model, data or session.data.evaluation)


def record(model: str | None, data: Dataset) -> DataRecord:
    """What was read of a split, as a model reads it; tokenised when it is first asked for."""
    classifier = classifier_named(model)
    return _record(classifier.identity, data.identity, classifier, data)


@st.cache_data(show_spinner=False, max_entries=8)
def _record(model: str, data: str, _classifier: Classifier, _dataset: Dataset) -> DataRecord:
    from bhpvas.evaluation.data_record import data_record

    return data_record(_classifier, _dataset)


def tokens(model: str | None, data: Dataset) -> int:
    """Tokens of all sentences together, as a model reads them.

    Where they are more than this server takes, they are counted no further.
    """
    return int(_lengths_in(model, data).sum())


def _lengths_in(model: str | None, data: Dataset) -> Any:
    classifier, most = classifier_named(model), limits.current().tokens
    return _lengths(classifier.identity, data.fingerprint, most, classifier, data)


@st.cache_data(show_spinner=False, max_entries=8)
def _lengths(
    model: str, data: str, most: int | None, _classifier: Classifier, _dataset: Dataset
) -> Any:
    return _classifier.lengths(_dataset, most)
