"""Formats: the registry of the ways in which a pruned model is handed over."""

from __future__ import annotations

from bhpvas.export import dense, onnx_graph, transformers_folder
from bhpvas.export.base import ExportError, Format

#: Every format by its name.
FORMATS: dict[str, Format] = {
    one.name: one for one in (transformers_folder.FORMAT, onnx_graph.FORMAT, dense.FORMAT)
}


def format_named(name: str) -> Format:
    """A format of the registry; raises :class:`ExportError` for another name."""
    if name not in FORMATS:
        raise ExportError(f"{name!r} is no format; choose from {', '.join(FORMATS)}.")
    return FORMATS[name]
