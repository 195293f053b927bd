"""Registry of recoveries: every way to recover, by its name."""

from __future__ import annotations

from bhpvas.recovery import compensation, finetuning, rescaling
from bhpvas.recovery.base import Recovery

#: Every recovery in closed form by name, the default first.
RECOVERIES: dict[str, Recovery] = {
    one.name: one for one in (compensation.RECOVERY, compensation.THOROUGH, rescaling.RECOVERY)
}
#: The names of all ways to recover: those, and the training of :mod:`bhpvas.recovery.finetuning`.
RECOVERY_NAMES = (*RECOVERIES, finetuning.NAME)
