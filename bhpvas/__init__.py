"""See what every attention head of a BERT classifier does, and remove those it can do without.

>>> import bhpvas
>>> data = bhpvas.sample_splits()
>>> len(data.calibration), len(data.evaluation)
(240, 480)

The names below are the public ones. Each is imported when it is first used, so that ``import
bhpvas`` takes no time. Five of them are registries, by name, of what there is to choose from; each
entry says in words what it is and where it comes from:

>>> bhpvas.CRITERIA["importance"].source
'Michel, Levy, Neubig 2019, Are Sixteen Heads Really Better than One?'
>>> bhpvas.NEURON_CRITERIA["activation"].summary
'High: what this neuron adds to the tokens is long.'
>>> bhpvas.METHODS["importance"].summary
'The heads that come last by importance, measured once.'
>>> list(bhpvas.RECOVERIES)
['compensate', 'thorough', 'rescale']
>>> {name: one.smaller for name, one in bhpvas.FORMATS.items()}
{'transformers': True, 'onnx': True, 'dense': False}
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bhpvas.version import __version__ as __version__

if TYPE_CHECKING:
    from bhpvas.charts.head_map import head_map as head_map
    from bhpvas.charts.kept_map import kept_map as kept_map
    from bhpvas.criteria import CRITERIA as CRITERIA
    from bhpvas.criteria import NEURON_CRITERIA as NEURON_CRITERIA
    from bhpvas.criteria import Scores as Scores
    from bhpvas.criteria import removal_order as removal_order
    from bhpvas.criteria import score as score
    from bhpvas.data.dataset import Dataset as Dataset
    from bhpvas.data.dataset import Splits as Splits
    from bhpvas.data.reading import read_dataset as read_dataset
    from bhpvas.data.reading import read_splits as read_splits
    from bhpvas.data.reading import sample_splits as sample_splits
    from bhpvas.errors import BhpvasError as BhpvasError
    from bhpvas.evaluation.ablation import Ablation as Ablation
    from bhpvas.evaluation.ablation import ablate as ablate
    from bhpvas.evaluation.comparison import compare as compare
    from bhpvas.evaluation.evaluation import Evaluation as Evaluation
    from bhpvas.evaluation.evaluation import evaluate as evaluate
    from bhpvas.evaluation.widths import WidthCurves as WidthCurves
    from bhpvas.evaluation.widths import ablate_widths as ablate_widths
    from bhpvas.export import FORMATS as FORMATS
    from bhpvas.export import Exported as Exported
    from bhpvas.export import export_model as export_model
    from bhpvas.heads import HeadId as HeadId
    from bhpvas.heads import HeadMask as HeadMask
    from bhpvas.heads import parse_heads as parse_heads
    from bhpvas.interpret.roles import find_roles as find_roles
    from bhpvas.model.classifier import Classifier as Classifier
    from bhpvas.model.classifier import load_classifier as load_classifier
    from bhpvas.model.cost import flops_per_sentence as flops_per_sentence
    from bhpvas.model.cost import parameters as parameters
    from bhpvas.model.cost import speed_bound as speed_bound
    from bhpvas.model.latency import measure_latency as measure_latency
    from bhpvas.model.pruning import remove_heads as remove_heads
    from bhpvas.recovery import RECOVERIES as RECOVERIES
    from bhpvas.recovery import recover as recover
    from bhpvas.report import write_report as write_report
    from bhpvas.scheme.scheme import Scheme as Scheme
    from bhpvas.scheme.scheme import load_scheme as load_scheme
    from bhpvas.search import METHODS as METHODS
    from bhpvas.search import propose as propose

_MODULES = {
    "evaluation.ablation": "Ablation ablate",
    "charts.head_map": "head_map",
    "charts.kept_map": "kept_map",
    "model.classifier": "Classifier load_classifier",
    "evaluation.comparison": "compare",
    "model.cost": "flops_per_sentence parameters speed_bound",
    "criteria": "CRITERIA NEURON_CRITERIA Scores removal_order score",
    "data.dataset": "Dataset Splits",
    "data.reading": "read_dataset read_splits sample_splits",
    "errors": "BhpvasError",
    "evaluation.evaluation": "Evaluation evaluate",
    "evaluation.widths": "WidthCurves ablate_widths",
    "export": "FORMATS Exported export_model",
    "heads": "HeadId HeadMask parse_heads",
    "model.latency": "measure_latency",
    "recovery": "RECOVERIES recover",
    "report": "write_report",
    "interpret.roles": "find_roles",
    "scheme.scheme": "Scheme load_scheme",
    "search": "METHODS propose",
    "model.pruning": "remove_heads",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bhpvas' has no attribute {name!r}")
    return getattr(import_module(f"bhpvas.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
