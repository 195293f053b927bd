"""Recovery: other weights for a mask, in closed form or by fine-tuning.

One registry names the ways. It imports storage, tasks, data, model, scheme and the files at the
root.
"""

from bhpvas.recovery.base import LayerReport, Recovered, Recovery
from bhpvas.recovery.closed_form import recover
from bhpvas.recovery.registry import RECOVERIES, RECOVERY_NAMES

__all__ = ["RECOVERIES", "RECOVERY_NAMES", "LayerReport", "Recovered", "Recovery", "recover"]
