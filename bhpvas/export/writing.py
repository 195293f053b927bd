"""Writing: a pruned model's files in a new folder, read back and compared with the masked model."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.data_record import data_record
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.evaluation.learnt_from import LearntFrom, learnt_from
from bhpvas.export import onnx_graph
from bhpvas.export.base import (
    ExportError,
    Format,
    Forward,
    in_float32,
    logits_of,
    model_forward,
)
from bhpvas.export.card import model_card
from bhpvas.export.exported import Exported
from bhpvas.export.formats import format_named
from bhpvas.heads import HeadMask
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters, speed_bound
from bhpvas.model.engine import predict
from bhpvas.model.latency import Latencies, time_passes
from bhpvas.model.loading import quiet
from bhpvas.model.runtimes import Timing
from bhpvas.progress import Progress, part, silent
from bhpvas.scheme.scheme import EXPORTED_SCHEME, Scheme
from bhpvas.storage.files import not_written, refused

#: How far a logit of the files may differ from the masked model's, both in float32.
TOLERANCE = 1e-4


def export_model(
    classifier: Classifier,
    scheme: Scheme,
    folder: str | Path,
    format: str = "transformers",
    *,
    dataset: Dataset,
    weights: str | Path = ".",
    int8: bool = False,
    data: str | None = None,
    timed: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> Exported:
    """Write the model at a scheme's current step into a new folder, and read it back.

    ``weights`` is the folder in which the scheme's recovered weights lie. ``dataset`` measures the
    model before and after, and its sentences are those on which the files must answer as the masked
    model does, to :data:`TOLERANCE`. ``int8`` adds a quantised graph to the format onnx; its
    difference is no error, and its accuracy is measured by itself. ``data`` is what the command
    line calls the dataset, for the model card (None: the sample sentences). ``timed`` is how many
    sentences of how many tokens at once the files are timed on, in turns with the unpruned model in
    the same format (None: not at all).

    The folder appears whole or not at all. Raises :class:`ExportError` where it exists already,
    cannot be written, a package is missing, or the files do not answer as they should, and
    what :meth:`Scheme.on` raises.

    >>> from tempfile import TemporaryDirectory
    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().evaluation.take(range(4))
    >>> scheme = bhpvas.Scheme.of(classifier).removing(bhpvas.parse_heads("L0H3,L5H11"))
    >>> with TemporaryDirectory() as folder:
    ...     bhpvas.export_model(classifier, scheme, f"{folder}/smaller", dataset=data).parameters
    ...     bhpvas.load_classifier(f"{folder}/smaller").geometry.parameters
    22615490
    22615490
    """
    chosen, folder = format_named(format), Path(folder)
    timing = None if timed is None else Timing(chosen.engine, *timed)
    if timing is not None:
        timing.check(classifier)
    if int8 and chosen is not onnx_graph.FORMAT:
        raise ExportError(
            f"int8 is for the format onnx, and not for {format}: choose --format onnx, or leave "
            "--int8 out."
        )
    if chosen is onnx_graph.FORMAT:
        onnx_graph.check_packages()
    check_folder(folder)
    mask = scheme.mask.without(classifier.geometry.pruned)
    changed = scheme.on(classifier, weights)
    with _new_folder(folder) as beside:
        found = _measured(
            classifier, scheme, changed, mask, chosen, beside, dataset, int8, timing, progress
        )
        with _write_errors(folder):
            scheme_file = beside / EXPORTED_SCHEME
            scheme_file.parent.mkdir()
            scheme.copy_weights(weights, scheme_file.parent)
            scheme.save(scheme_file)
            card = model_card(found, classifier, scheme, dataset, data)
            (beside / "README.md").write_text(card, encoding="utf-8")
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Exported(**{**vars(found), "folder": folder, "files": files})


def check_folder(folder: str | Path) -> None:
    """Raise :class:`ExportError` where an export could not be written, before the long work."""
    folder = Path(folder)
    with _write_errors(folder):
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise ExportError(f"{folder} exists already: name a folder that does not.")
        with tempfile.TemporaryFile(dir=folder.absolute().parent):
            pass


def _measured(
    classifier: Classifier,
    scheme: Scheme,
    changed: Classifier,
    mask: HeadMask,
    chosen: Format,
    folder: Path,
    dataset: Dataset,
    int8: bool,
    timing: Timing | None,
    progress: Progress,
) -> Exported:
    """Write the files of ``chosen`` into a new ``folder``, and measure what they answer.

    ``classifier`` is the model before the ``scheme``, ``changed`` the one with its weights, whose
    heads outside ``mask`` are removed; ``dataset`` measures both, ``int8`` asks for a quantised
    graph, ``timing`` for times.
    """
    dataset = dataset.for_task(classifier.task)
    passes = 3 + int8 + (timing is not None)
    before = evaluate(classifier, dataset, progress=part(progress, 0, passes))
    exact = in_float32(changed)
    encoded = exact.encode(dataset)
    expected = predict(exact, encoded, mask, progress=part(progress, 1, passes))

    def answers(forward: Forward, turn: int) -> Evaluation:
        logits = logits_of(forward, exact, encoded, part(progress, turn, passes))
        return Evaluation.of(classifier, dataset, mask, logits)

    with quiet(), _write_errors(folder):
        chosen.write(changed, mask, folder)
        files = {"after": chosen.read(exact, folder)}
        after = answers(files["after"], 2)
        difference = float(np.abs(after.logits - expected).max())
        if not difference <= TOLERANCE:
            raise ExportError(
                f"The exported files answer differently from the masked model (a logit by "
                f"{difference:.2g}, at most {TOLERANCE:g} is allowed), so nothing was written: "
                "please report this with the versions of torch and transformers."
            )
        quantised = None
        if int8:
            onnx_graph.quantise(folder)
            files["int8"] = onnx_graph.read_graph(folder / onnx_graph.INT8)
            quantised = answers(files["int8"], 3)
        latencies = None
        if timing is not None:
            forwards = {"before": _unpruned(classifier, chosen, folder), **files}
            at = part(progress, passes - 1, passes)
            latencies = _latencies(classifier, forwards, timing, at)

    def counted(one: Evaluation) -> LearntFrom:
        return learnt_from(scheme, encoded.fingerprints, before, one)

    geometry, whole = classifier.geometry, classifier.full_mask()
    left, lengths = mask if chosen.smaller else whole, encoded.lengths
    return Exported(
        format=chosen,
        folder=folder,
        mask=mask,
        files={path.name: path.stat().st_size for path in folder.iterdir()},
        read=data_record(classifier, dataset, encoded, unpruned=before),
        before=before,
        after=after,
        int8=quantised,
        learnt_from=counted(after),
        int8_learnt_from=None if quantised is None else counted(quantised),
        difference=difference,
        neurons_kept=neurons_kept(geometry, mask),
        parameters_before=parameters(geometry, whole),
        parameters=parameters(geometry, left),
        flops_before=flops_per_sentence(geometry, whole, lengths),
        flops_per_sentence=flops_per_sentence(geometry, left, lengths),
        speed_bound=speed_bound(geometry, left, lengths),
        latencies=latencies,
    )


def _unpruned(classifier: Classifier, chosen: Format, folder: Path) -> Forward:
    """The model before the scheme, as the format has it; ``folder`` is beside one for its files."""
    if chosen is not onnx_graph.FORMAT:
        exact = in_float32(classifier)
        return model_forward(exact.model, exact)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        chosen.write(classifier, classifier.full_mask(), Path(beside))
        return chosen.read(classifier, Path(beside))


def _latencies(
    classifier: Classifier, forwards: Mapping[str, Forward], timing: Timing, progress: Progress
) -> Latencies:
    """Times of the same random tokens, in turns."""
    tokens = torch.from_numpy(timing.tokens(classifier)).to(classifier.device)
    real = torch.ones_like(tokens, dtype=torch.bool)
    batch = Batch(np.arange(timing.batch), tokens, torch.zeros_like(tokens), real, padded=False)
    passes = {name: partial(forward, batch) for name, forward in forwards.items()}
    device = str(classifier.device) if timing.engine == "torch" else "cpu"
    return time_passes(passes, timing, device, progress=progress)


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its name in the end, or is deleted."""
    beside = folder.absolute().parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with _write_errors(folder):
            beside.mkdir()
        yield beside
        with _write_errors(folder):
            if folder.is_dir():
                folder.rmdir()
            os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """What the system refuses becomes an :class:`ExportError`."""
    try:
        yield
    except Exception as error:  # the libraries that write wrap the system's errors in their own
        if (why := refused(error)) is None:
            raise
        raise ExportError(not_written("The export", folder.absolute().parent, why)) from None
