"""What a step did, in words: the same on the timeline, in the tree, and in the sidebar."""

from __future__ import annotations

from bhpvas.charts import words
from bhpvas.charts.timeline import TimelinePoint
from bhpvas.schemes import Scheme, Step
from bhpvas.ui import work
from bhpvas.ui.session import Session

#: What a recovery did to the weights, by the name of its method.
DONE = {
    "compensate": "compensated",
    "thorough": "thoroughly compensated",
    "rescale": "rescaled",
    "finetune": "fine-tuned",
}


def done(step: Step) -> str:
    """What a step "recover" did to the weights, in a word."""
    return DONE.get(step.method, step.method)


def outcome(scheme: Scheme, step: Step) -> str:
    """What a step "recover" did, how long it took, and what it changed, in Markdown."""
    said = f"**Step {step.id}: {done(step)}**"
    if "seconds" in step.settings:
        said += f" in {words.seconds(step.settings['seconds'])}"
    before, after = (
        scheme.step(number).metrics.get("accuracy") for number in (step.parent or 0, step.id)
    )
    if before is not None and after is not None:
        said += (
            f", accuracy {words.percent(before)} {words.ARROW} **{words.percent(after)}%** "
            f":small[on {words.plural(step.metrics['n'], 'evaluation sentence')}]"
        )
    return said


def timeline_points(session: Session) -> list[TimelinePoint]:
    """The steps that are measured, as a figure wants them."""
    scheme = session.scheme
    on_path = {step.id for step in scheme.path()}
    return [
        TimelinePoint(
            step=step.id,
            parent=step.parent,
            kept=scheme.layers * scheme.heads - len(step.removed),
            accuracy=step.metrics["accuracy"],
            low=step.metrics["accuracy_interval"][0],
            high=step.metrics["accuracy_interval"][1],
            what=what_happened(step),
            on_path=step.id in on_path,
            current=step.id == scheme.current,
        )
        for step in scheme.steps
        if work.is_measured(session, step)
    ]


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
