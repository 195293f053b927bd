"""The heading of a view: its title, one line on how to read it, and a "?" with all the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import streamlit as st

from bhpvas import text
from bhpvas.tasks.base import Metric
from bhpvas.tasks.single_label import ACCURACY


@dataclass(frozen=True)
class HelpText:
    """What a view shows, for the popover behind its "?"."""

    definition: str
    source: str
    misleads: str
    formula: str | None = None

    def judged_by(self, headline: Metric) -> HelpText:
        """The same, of a model that another headline than the accuracy judges."""
        name = headline.title_in_text
        said, misleads = (one.replace("accuracy", name) for one in (self.definition, self.misleads))
        return replace(self, definition=said, misleads=misleads)


COMBINED = HelpText(
    definition="Each criterion ranks the kept heads from 1 (most worth keeping) to 0 (first to "
    "go); the combined priority is the weighted mean of these. The weights are the sliders; which "
    "way stability counts is the setting beside them. Heads of equal value share the mean of their "
    "ranks; those whose value is undefined come last, and heads that put out nothing very last.",
    formula=r"P(l,h)=\sum_c w_c\,\frac{n-\mathrm{rank}_c(l,h)}{n-1}\Big/\sum_c w_c",
    source="Own default, after the three criteria of BHPVAS (Journal of Visualization, 2024)",
    misleads="It knows ranks only, so a head that is far ahead counts no more than one that is "
    "just ahead. No setting of the weights is right: look at what its order costs.",
)
ABLATION = HelpText(
    definition="The exact change of loss and accuracy when this head alone is removed from the "
    "current model, on the calibration split. It shows how far a criterion agrees with what really "
    "happens to single heads.",
    source="Michel, Levy, Neubig 2019, section 3",
    misleads="It is no oracle for removing many heads together: heads that do the same work each "
    "look useless alone. What judges a criterion is the accuracy curve of the order that it gives.",
)


def heading(
    title: str, reading: str, *texts: tuple[str, HelpText], key: str, page: bool = False
) -> None:
    """Draw a view's title, how to read it, and the popover of one or more definitions.

    The heading of a ``page`` is larger and has ``reading`` in the same line. That is plain text: it
    may say what a file does.
    """
    reading = text.verbatim(reading)
    with st.container(key=f"view-{key}"):
        with st.container(
            key=f"heading-{key}", horizontal=True, vertical_alignment="center", gap="xsmall"
        ):
            level = 1 if page else 2
            st.html(f'<h{level} class="title">{escape(title)}</h{level}>', width="content")
            with st.popover(
                "?", type="tertiary", key=f"about-{key}", help=f"About: {text.verbatim(title)}"
            ):
                for name, help_text in texts:
                    explain(name, help_text)
            if page:
                st.caption(reading, width="content")
        if not page:
            st.caption(reading)


def footnote(reading: str, *texts: tuple[str, HelpText], key: str) -> None:
    """How to read a figure, below it: plain text as in a heading, with the same "?"."""
    with st.container(
        key=f"footnote-{key}", horizontal=True, vertical_alignment="center", gap="xsmall"
    ):
        st.caption(text.verbatim(reading), width="content")
        with st.popover("?", type="tertiary", key=f"about-{key}", help="About this view"):
            for name, help_text in texts:
                explain(name, help_text)


def explain(name: str, help_text: HelpText) -> None:
    """Write out definition, formula, source and pitfall."""
    st.markdown(f"**{name}**")
    st.markdown(help_text.definition)
    if help_text.formula:
        st.latex(help_text.formula)
    st.markdown(f"**When it misleads.** {help_text.misleads}")
    st.caption(f"Source: {help_text.source}")


def column_help(name: str, headline: Metric = ACCURACY) -> list[tuple[str, HelpText]]:
    """The definition of what colours the map: a criterion, the combined priority, an ablation."""
    from bhpvas.criteria import CRITERIA

    if name in CRITERIA:
        return [(CRITERIA[name].title, criterion_help(name))]
    if name == "combined":
        return [("Combined priority", COMBINED)]
    return [("Ablation", ABLATION.judged_by(headline))]


def criterion_help(name: str) -> HelpText:
    """The definition of a criterion, from the registry."""
    from bhpvas.criteria import CRITERIA

    criterion = CRITERIA[name]
    worth = "worth keeping" if criterion.higher_means == "keep" else "first to go"
    undefined = f" Undefined of a head {criterion.undefined}." if criterion.undefined else ""
    return HelpText(
        definition=f"{criterion.summary} High values are {worth}.{undefined}",
        formula=criterion.formula,
        source=criterion.source,
        misleads=criterion.misleads,
    )


def saliency_help(name: str) -> HelpText:
    """The definition of a saliency method, from the registry."""
    from bhpvas.interpret.saliency import SALIENCIES

    method = SALIENCIES[name]
    return HelpText(method.summary, method.source, method.misleads, method.formula)


def role_help(name: str) -> HelpText:
    """The definition of a role, from the registry."""
    from bhpvas.interpret.roles import ROLES

    role = ROLES[name]
    return HelpText(f"{role.summary} {role.rule}", role.source, role.misleads)
