"""Exported model: its files, what they answer, and what they save."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhpvas.evaluation.comparison import accuracy_change_interval, change_record, flips
from bhpvas.evaluation.data_record import DataRecord
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.learnt_from import LearntFrom
from bhpvas.export.base import Format
from bhpvas.heads import HeadMask
from bhpvas.model.latency import Latencies


@dataclass(frozen=True, eq=False)
class Exported:
    """An export that was read back: what it holds and what it answers.

    ``read`` is what was read of the sentences that measured it, ``before`` the unpruned model,
    ``after`` what the files answer, ``int8`` the same of the quantised graph where there is one.
    ``learnt_from`` is how many of these sentences the scheme learnt from, ``int8_learnt_from`` the
    same with what the quantised graph answers on the others.
    ``difference`` is the largest one between a logit of the files and of the masked model.
    ``files`` are their bytes by name. ``neurons_kept`` is how many feed-forward neurons the mask
    keeps in each layer. ``speed_bound`` is what the arithmetic allows at the data's lengths.
    ``latencies`` are times of ``before``, ``after`` and, where there is one, ``int8``, all in this
    format; None where nothing was timed.

    >>> from tempfile import TemporaryDirectory
    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().evaluation.take(range(4))
    >>> scheme = bhpvas.Scheme.of(classifier).removing(bhpvas.parse_heads("L0H3,L5H11"))
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/dense"
    ...     found = bhpvas.export_model(classifier, scheme, path, "dense", dataset=data)
    >>> found.after.accuracy == found.before.accuracy, found.difference < 1e-4
    (True, True)
    >>> found.parameters == found.parameters_before  # a dense export is no smaller
    True
    """

    format: Format
    folder: Path
    mask: HeadMask
    files: dict[str, int]
    read: DataRecord
    before: Evaluation
    after: Evaluation
    int8: Evaluation | None
    learnt_from: LearntFrom
    int8_learnt_from: LearntFrom | None
    difference: float
    neurons_kept: list[int]
    parameters_before: int
    parameters: int
    flops_before: float
    flops_per_sentence: float
    speed_bound: float
    latencies: Latencies | None = None

    @property
    def weight_files(self) -> dict[str, int]:
        """Bytes of the files that hold the model itself, by name."""
        return {
            name: size
            for name, size in self.files.items()
            if name.endswith((".safetensors", ".onnx")) and "/" not in name
        }

    def record(self) -> dict[str, Any]:
        """The export ready for JSON."""
        return {
            "format": self.format.name,
            "folder": str(self.folder),
            "files": self.files,
            "bytes": sum(self.files.values()),
            "removed_heads": [str(head) for head in sorted(self.mask.removed)],
            "neurons_kept": self.neurons_kept,
            "difference": self.difference,
            "before": self.before.record(),
            "after": self.after.record(),
            "int8": self._int8_record(),
            **self.learnt_from.record(),
            "accuracy_change": self._accuracy_change(),
            "headline_change": change_record(self.before, self.after),
            "flipped": flips(self.before, self.after).tolist(),
            "parameters_before": self.parameters_before,
            "parameters": self.parameters,
            "flops_before": self.flops_before,
            "flops_per_sentence": self.flops_per_sentence,
            "speed_bound": self.speed_bound,
            "milliseconds": None if self.latencies is None else _milliseconds(self.latencies),
        }

    def _accuracy_change(self) -> dict[str, Any] | None:
        """The change of accuracy, of one label out of several."""
        if not self.before.is_single_label:
            return None
        return accuracy_change_interval(self.before, self.after)._asdict()

    def _int8_record(self) -> dict[str, Any] | None:
        """What the quantised graph answers, ready for JSON."""
        if self.int8 is None or self.int8_learnt_from is None:
            return None
        return self.int8.record() | self.int8_learnt_from.record()


def _milliseconds(found: Latencies) -> dict[str, Any]:
    """Times ready for JSON: medians with their 95% intervals."""
    times: dict[str, Any] = {"int8": None}
    for name in found.names:
        median, low, high = found.milliseconds(name)
        times[name] = {"median": median, "interval": [low, high]}
        if name != "before":
            ratio, low, high = found.speed_up(name)
            times[name] |= {"speed_up": ratio, "speed_up_interval": [low, high]}
    return times | {
        name: getattr(found, name) for name in ("engine", "device", "batch", "length", "threads")
    }
