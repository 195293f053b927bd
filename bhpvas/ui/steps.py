"""What a step did, in words: the same on the timeline, in the tree, and in the sidebar."""

from __future__ import annotations

from bhpvas.charts import words
from bhpvas.schemes import Scheme, Step

#: What a recovery did to the weights, by the name of its method.
DONE = {"compensate": "compensated", "rescale": "rescaled", "finetune": "fine-tuned"}


def done(step: Step) -> str:
    """What a step "recover" did to the weights, in a word."""
    return DONE.get(step.method, step.method)


def what_happened(step: Step) -> str:
    """A step in a line."""
    if step.what == "start":
        return "Start: every head kept"
    if step.what == "recover":
        return f"Step {step.id}: {done(step)}"
    verb = "removed" if step.what == "remove" else "restored"
    return f"Step {step.id}: {verb} {words.head_list(step.heads, 4)} ({step.method})"


def briefly(step: Step) -> str:
    """A step in a few words: how many heads, and who chose them."""
    if step.what == "start":
        return "start"
    if step.what == "recover":
        return done(step)
    how = step.method if step.method == "by hand" else f"by {step.method}"
    return f"{step.what}d {len(step.heads)} {how}"


def weights_said(scheme: Scheme, step_id: int | None = None) -> str | None:
    """Where the weights that hold at a step (default: the current one) are from.

    None where they are the model's own.
    """
    changed = [step for step in scheme.path(step_id) if step.weights]
    return f"{done(changed[-1])} at step {changed[-1].id}" if changed else None
