"""Inputs of the commands: the classifier, the sentences, scheme files and kept results."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhpvas.cli import processes
from bhpvas.cli.options import DataOptions, DrawOptions
from bhpvas.errors import BhpvasError, DataError, SchemeError

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset, Split
    from bhpvas.heads import HeadMask
    from bhpvas.model.classifier import Classifier
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.storage.results import Results

#: Sentences to learn from where ``--sentences`` is left out.
DEFAULT_SENTENCES = 2048


def load(options: DataOptions) -> tuple[Classifier, Dataset]:
    """The classifier, and the data in the numbering of its labels."""
    return _with_classifier(options, _dataset(options, options.data, options.split))


def load_calibration(
    options: DrawOptions, most: int | None = DEFAULT_SENTENCES
) -> tuple[Classifier, Dataset]:
    """As :func:`load`; of more sentences than asked for (else ``most``), some are drawn."""
    dataset = calibration_of(options, options.data, most)
    classifier = _classifier(options)
    return classifier, suited(dataset, classifier, options.data)


def suited(dataset: Dataset, classifier: Classifier, source: str | None) -> Dataset:
    """What is learnt from, in the numbering of a model's labels.

    Raises :class:`DataError` where these are the sample sentences, since no ``source`` was named,
    and the model answers something else.
    """
    try:
        return dataset.for_task(classifier.task)
    except DataError as error:
        if source is not None:
            raise
        raise DataError(
            "The sample sentences, from which is learnt where none are named, have the labels "
            f"negative and positive, and {classifier.name!r} answers otherwise: name sentences "
            "with its labels by --calibration."
        ) from error


def _with_classifier(options: DataOptions, dataset: Dataset) -> tuple[Classifier, Dataset]:
    classifier = _classifier(options)
    return classifier, dataset.for_task(classifier.task)


def _classifier(options: DataOptions) -> Classifier:
    from bhpvas.model.classifier import load_classifier

    return load_classifier(
        options.model,
        device=options.device,
        dtype=options.dtype,
        max_unknown=options.max_unknown,
        threshold=options.threshold,
    )


def _dataset(options: DataOptions, source: str | None, split: Split) -> Dataset:
    """A split of what has parts or of the sample sentences, or all sentences of a file."""
    from bhpvas.data.reading import read_dataset, sample_splits
    from bhpvas.data.sampling import SENTENCES
    from bhpvas.model.config import read_info

    if source is None or source == "sample":
        return getattr(sample_splits(), split)
    named = ("text", "pair", "label", "tag", "query", "labels_from", "skip_unlabelled", "header")
    how: dict[str, Any] = {name: getattr(options, name) for name in (*named, "encoding")}
    how["task"] = read_info(options.model).task
    # A command that draws sentences itself is given all that there are to learn from. The split of
    # a source in one part has no seed here: other commands measure on what it leaves.
    most = None if isinstance(options, DrawOptions) else SENTENCES
    return read_dataset(source, **how, split=options.split_column, part=split, sentences=most)


def check_sentences(options: DrawOptions) -> None:
    """Refuse a number of sentences that nothing can be learnt from."""
    if options.sentences is not None and options.sentences < 2:
        raise BhpvasError(f"--sentences {options.sentences} is too few: 2 are the least.")


def calibration_of(
    options: DrawOptions, source: str | None, most: int | None = DEFAULT_SENTENCES
) -> Dataset:
    """The sentences to learn from; of more than asked for (else ``most``), some."""
    from bhpvas.data.sampling import calibration_sample

    check_sentences(options)
    dataset = _dataset(options, source, "calibration")
    most = most if options.sentences is None else options.sentences
    if most is None or len(dataset) <= most:
        return dataset
    return calibration_sample(dataset, most, options.seed)


def mask_without(classifier: Classifier, heads: str) -> HeadMask:
    """The mask without heads such as ``L0H3,L5H11``."""
    from bhpvas.heads import parse_heads

    return classifier.full_mask().without(parse_heads(heads))


def kept_results(cache: bool) -> Results:
    """The results on disk; none where several processes would have to find the same ones."""
    from bhpvas.storage import results

    return results.kept_results() if cache and processes.count() == 1 else results.Results(None)


@contextmanager
def opened_scheme(path: str, model: str | None) -> Iterator[tuple[Scheme, Path]]:
    """A scheme and the folder of its weights; a zip is unpacked for as long as the block lasts.

    Refuses a scheme that was made for another model than the sample, where ``model`` names none.
    """
    from bhpvas.model.weights import weights_file
    from bhpvas.scheme.bundle import read_scheme_file
    from bhpvas.scheme.scheme import load_scheme

    with ExitStack() as stack:
        if zipfile.is_zipfile(path):
            file = read_scheme_file(Path(path).read_bytes(), path)
            scheme = file.scheme
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bhpvas-")))
            for name, content in file.weights.items():
                weights_file(folder, name).write_bytes(content)
        else:
            scheme, folder = load_scheme(path), Path(path).parent
        if model is None and scheme.model["id"] != "sample":
            raise SchemeError(
                f"The scheme was made for the model {scheme.model['id']}: name it with --model."
            )
        yield scheme, folder
