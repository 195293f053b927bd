"""Writing of a report: everything measured, put into one page, and saved as one file."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.comparison import summary
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters, speed_bound
from bhpvas.progress import Progress, silent
from bhpvas.report import front
from bhpvas.report.findings import Findings, ReportSettings, measure
from bhpvas.report.sections import changes, costs, curves, scores, subject
from bhpvas.report.sections import scheme as scheme_section
from bhpvas.scheme.scheme import Scheme
from bhpvas.search.curves import Store
from bhpvas.stats import RANDOM_ORDERS
from bhpvas.storage.files import not_written, write_beside
from bhpvas.version import versions

_HERE = Path(__file__).resolve().parent
# In the order in which they are read.
_SECTIONS = (subject, costs, scheme_section, scores, curves, changes)
# What the summary of two evaluations says of their difference.
_CHANGES = ("accuracy_change", "mcnemar", "headline_change", "flipped", "flipped_if")
_PACKAGES = ("torch", "transformers", "numpy", "pandas", "scipy", "plotly")


class ReportError(BhpvasError):
    """A report that cannot be written."""


@dataclass(frozen=True, eq=False)
class Report:
    """A report: the page as HTML, and what was measured for it."""

    html: str
    findings: Findings

    def record(self) -> dict[str, Any]:
        """What it found, ready for JSON."""
        found = self.findings
        geometry, mask = found.classifier.geometry, found.mask
        of_answers = summary(found.before, found.after)
        return {
            "removed_heads": [str(head) for head in sorted(mask.removed)],
            "neurons_kept": neurons_kept(geometry, mask),
            "before": found.before.record(),
            "after": found.after.record(),
            **{name: of_answers[name] for name in _CHANGES},
            "parameters": parameters(geometry, mask),
            "flops_per_sentence": flops_per_sentence(geometry, mask, found.lengths),
            "speed_bound": speed_bound(geometry, mask, found.lengths),
            **found.learnt_from.record(),
            "shared_sentences": found.shared,
            "summary": front.summary(found),
        }


def write_report(
    classifier: Classifier,
    scheme: Scheme,
    path: str | Path,
    *,
    calibration: Dataset,
    evaluation: Dataset,
    weights: str | Path = ".",
    random: int = RANDOM_ORDERS,
    ablation: bool = False,
    tokens: int | None = None,
    seed: int = 0,
    command: str = "",
    progress: Progress = silent,
) -> Report:
    """Measure a scheme's current step and write what was found as one HTML file.

    The file makes no request: figures, their data as CSV, styles and the library that draws them
    are inside. ``weights`` is the folder in which the scheme's recovered weights lie. Criteria,
    orders and recoveries learn from ``calibration``, all is measured on ``evaluation``.
    The scheme stands beside ``random`` random orders, drawn from ``seed`` on. With ``ablation``
    every head is also removed alone; with ``tokens`` the latency of sentences so long is measured.
    ``command`` is the command line that makes the same report, for the page. The file appears whole
    or not at all.

    Raises :class:`ReportError` where it cannot be written, :class:`~bhpvas.errors.BhpvasError` for
    a number that cannot be, and what :meth:`Scheme.on` raises.

    >>> import tempfile
    >>> from bhpvas import load_classifier, sample_splits, parse_heads
    >>> classifier, data = load_classifier(), sample_splits()
    >>> scheme = Scheme.of(classifier).removing(parse_heads("L0H3,L5H11"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "report.html"
    ...     report = write_report(
    ...         classifier,
    ...         scheme,
    ...         path,
    ...         calibration=data.calibration.take(range(8)),
    ...         evaluation=data.evaluation.take(range(8)),
    ...         random=0,
    ...     )
    ...     path.read_text(encoding="utf-8") == report.html
    True
    """
    check_writable(path)
    report = make_report(
        classifier,
        scheme,
        calibration=calibration,
        evaluation=evaluation,
        weights=weights,
        asked=ReportSettings(random, ablation, tokens, seed),
        command=command,
        progress=progress,
    )
    save(report, path)
    return report


def make_report(
    classifier: Classifier,
    scheme: Scheme,
    *,
    calibration: Dataset,
    evaluation: Dataset,
    weights: str | Path = ".",
    asked: ReportSettings | None = None,
    command: str = "",
    known: Mapping[int, Evaluation] | None = None,
    store: Store | None = None,
    progress: Progress = silent,
) -> Report:
    """As :func:`write_report`, without a file; ``asked`` holds what is random, timed and ablated.

    ``known`` evaluations of steps, by number, and points of curves in the ``store`` are not
    measured again.
    """
    found = measure(
        classifier,
        scheme,
        calibration=calibration,
        evaluation=evaluation,
        weights=weights,
        asked=asked or ReportSettings(),
        known=known,
        store=store,
        progress=progress,
    )
    return Report(_html(found, command), found)


def save(report: Report, path: str | Path) -> None:
    """Write a report beside ``path``, then rename it; raises :class:`ReportError`."""
    try:
        write_beside(path, report.html.encode("utf-8", "replace"))
    except OSError as error:
        raise ReportError(not_written("The report", path, error)) from None


def check_writable(path: str | Path) -> None:
    """Raise :class:`ReportError` where a report could not be written, before the long work."""
    path = Path(path)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ReportError(
            f"The report cannot be written to {path}: choose a file in a folder that exists and "
            "that you may write to."
        )


def _html(found: Findings, command: str) -> str:
    from plotly.offline import get_plotlyjs

    page_of = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return page_of.get_template("report.html").render(
        title=front.title(found),
        scheme=found.scheme.name,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        summary=front.summary(found),
        tiles=front.tiles(found),
        cautions=front.cautions(found),
        sections=[one.section(found) for one in _SECTIONS],
        command=command,
        requested=front.requested(found),
        scheme_file=f"data:application/json;charset=utf-8,{quote(found.scheme.to_json())}",
        versions=versions(*_PACKAGES),
        machine=f"{platform.system()} {platform.machine()}",
        style=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "report.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )
