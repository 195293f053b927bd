"""The views of the Samples page: the map, the selection, slices, heads that matter, the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.difference import difference_map
from bhpvas.charts.head_map import size
from bhpvas.charts.sentence_map import MANY, Amounts, Groups, Moves, Panel, sentence_map
from bhpvas.charts.slices import slice_changes, slice_levels
from bhpvas.data.tables import csv_text
from bhpvas.evaluation.comparison import mcnemar
from bhpvas.evaluation.groups import FEWEST_TO_TEST, GroupComparison
from bhpvas.evaluation.slices import Grouping, worst_hit
from bhpvas.heads import HeadMask
from bhpvas.ui.jobs.roles import role_labels
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.pages.samples import texts
from bhpvas.ui.pages.samples.tasks import MeasuredStates, Places
from bhpvas.ui.pages.workbench import texts as workbench_texts
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session, Split
from bhpvas.ui.widgets import figures, help
from bhpvas.ui.widgets.controls import slice_controls
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.head_map import clickable_map, roles_switch
from bhpvas.ui.widgets.synced import hold

SENTENCE_PAGE = "pages/sentence.py"
MAP_HEIGHT = 400
ALONE, AFTER, BESIDE, MOVES = "unpruned", "pruned", "side by side", "moves"
SLICES, HEADS = "Slices", "Heads that matter here"
#: What the pointer does on the map, and what plotly calls it; a click needs it left unset.
POINTERS = {"lasso": "lasso", "box": "select", "click": None}
EVERY, CHOSEN = "all", "selected"
# Says so where the browser has not what plotly needs to draw points by WebGL.
_WEBGL_CHECK = """export default ({setStateValue}) => {
    const gl = document.createElement("canvas").getContext("webgl");
    const needed = ["ANGLE_instanced_arrays", "OES_element_index_uint"];
    if (!gl || !needed.every(name => gl.getExtension(name))) setStateValue("missing", true);
}"""
_RIGHT = ("wrong", "right")
_RIGHT_MARKS = ((style.LOST, "x"), (style.MARK, "circle"))
_OUTCOME_SYMBOLS = {"lost": "triangle-down", "gained": "triangle-up", "other": "diamond"}


@dataclass(frozen=True)
class MapSettings:
    """What the controls above the map say."""

    layer: int
    colour: str


# --- settings -------------------------------------------------------------------------------------


def controls(session: Session, found: MeasuredStates | None) -> MapSettings:
    """Which sentences, at which layer, coloured by what."""
    layers = session.mask.layers
    colours = _colours(found, pruned=session.now != session.start)
    state = st.session_state
    if not state.get("colour-chosen") or state.get("sentence-colour") not in colours:
        state["sentence-colour"] = next(iter(colours))
    if (state.get("map-layer") or 0) >= layers:
        state["map-layer"] = layers - 1
    sizes = {
        "evaluation": f"evaluation · {len(session.data.evaluation):,}",
        "calibration": f"calibration · {len(session.data.calibration):,}",
    }
    hold("split", session.split)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="looking"):
        st.segmented_control(
            "Sentences",
            list(sizes),
            required=True,
            format_func=sizes.__getitem__,
            key="split",
            on_change=_look,
            help="Evaluation sentences measure; criteria, search and recovery never read them. "
            "Calibration sentences are what heads may be chosen by.",
        )
        colour = st.selectbox(
            "Colour by",
            list(colours),
            key="sentence-colour",
            format_func=colours.__getitem__,
            on_change=_colour_chosen,
            width=230,
        )
        layer = st.selectbox(
            "[CLS] state of layer",
            range(layers),
            index=layers - 1,
            key="map-layer",
            format_func=lambda layer: f"L{layer}",
            width=140,
            persist_state="session",
        )
    return MapSettings(layer, colour)


def _colours(found: MeasuredStates | None, *, pruned: bool) -> dict[str, str]:
    names = {"change": "change under the scheme"} if pruned else {}
    names |= {
        "right": "right or wrong",
        "label": "label",
        "prediction": "prediction",
        "confidence": "probability of the answer",
    }
    if found is not None:
        names |= {
            name: one.title.lower()
            for name, one in found.groupings.items()
            if name not in ("class", "length")
        }
    return names


def _colour_chosen() -> None:
    st.session_state["colour-chosen"] = True


def _look() -> None:
    split: Split = st.session_state["split"]
    sessions.change(partial(Session.looking_at, split=split))
    st.session_state["rows"] = EVERY


def pointer_and_model(found: MeasuredStates) -> tuple[str, str]:
    """What the pointer does on the map, and whose places the map shows."""
    with st.container(horizontal=True, gap="small", key="on-the-map"):
        pointer: Any = st.segmented_control(
            "Pointer",
            list(POINTERS),
            default="lasso",
            required=True,
            key="sentence-pointer",
            persist_state="session",
            label_visibility="collapsed",
        )
        if not found.pruned:
            return pointer, ALONE
        show: Any = st.segmented_control(
            "Model",
            [ALONE, AFTER, BESIDE, MOVES],
            # Of thousands, one panel: the browser's own marks show a selection there, while two
            # have to be drawn anew.
            default=BESIDE if len(found.data) < MANY else AFTER,
            required=True,
            key="show",
            persist_state="session",
            label_visibility="collapsed",
        )
    return pointer, show


# --- the answer in a line -------------------------------------------------------------------------


def answer(found: MeasuredStates) -> str:
    """What the scheme changes, and where it hurts most."""
    n = found.after.n
    if not found.pruned:
        return (
            f"No head is removed: accuracy **{text.percent(found.after.accuracy)}%** on "
            f"{text.plural(n, 'sentence')}. Remove heads in the Workbench to see which sentences "
            "that changes."
        )
    changed = int((found.table["outcome"] != "same").sum())
    test = mcnemar(found.before, found.after)
    said = (
        f"**{changed} of {text.plural(n, 'prediction')} changed:** {test.lost} lost, "
        f"{test.gained} gained ({text.p_value(test.p)}, McNemar)."
    )
    return said + worst(found, "tag" if "tag" in found.groupings else "class")


def worst(found: MeasuredStates, grouping: str) -> str:
    """The slice that is hit worst, with a test that counts how many there are."""
    table = found.slices(grouping)
    title = text.verbatim(found.groupings[grouping].title.lower())
    hit = worst_hit(table)
    if hit is None:
        return f" No {title} lost accuracy."
    change = text.accuracy_change(
        float(hit["accuracy before"]), float(hit["accuracy after"]), int(hit["n"])
    )
    return (
        f" Worst hit by {title}: **{text.verbatim(str(hit['slice']))}**, {change}; "
        f"{text.p_value(float(hit['p']))}, corrected for {text.plural(len(table), 'slice')}."
    )


# --- the map --------------------------------------------------------------------------------------


def map_of_sentences(
    found: MeasuredStates, places: Places | None, settings: MapSettings, session: Session
) -> None:
    """Every sentence as a point; a lasso, a box or clicks select."""
    pointer, show = pointer_and_model(found)
    if places is None:
        st.skeleton(MAP_HEIGHT)
        return
    after = places.before if places.after is None else places.after
    shown = show if places.after is not None else ALONE
    panels = {
        ALONE: [("unpruned", places.before, False)],
        AFTER: [("current scheme", after, True)],
    }
    panels[BESIDE] = panels[MOVES] = panels[ALONE] + panels[AFTER]
    webgl = len(found.data) >= MANY and _has_webgl()

    def draw() -> go.Figure:
        return sentence_map(
            [
                Panel(title, where, _colouring(found, settings.colour, after=pruned))
                for title, where, pruned in panels[shown]
            ],
            session.sentences,
            hover=found.hover,
            moves=_moves(found) if shown == MOVES else (),
            height=MAP_HEIGHT,
            webgl=webgl,
        ).update_layout(dragmode=POINTERS[pointer])

    figure = _drawn(session, draw, (found.key, places.method, settings, pointer, shown, webgl))
    figures.chart(
        figure,
        key="sentence-map",
        on_select=partial(_selected, pointer=pointer, marked=webgl and shown != BESIDE),
        selection_mode=("points", "box", "lasso"),
        height=MAP_HEIGHT,
        alt=f"Map of {text.plural(found.after.n, 'sentence')}, {shown}",
    )
    wait = ", UMAP follows" if places.follows else ""
    mark = ""
    if settings.colour == "change":
        mark = " Red: the label's probability fell. ▼ lost, ▲ gained."
    if shown == MOVES:
        mark = " Lines: from the unpruned place; red lost, blue gained."
    help.footnote(
        f"Near: alike to the model at L{settings.layer} ({places.method}{wait}).{mark}",
        ("Map of sentences", texts.SENTENCE_MAP),
        key="sentence-map",
    )


def _has_webgl() -> bool:
    """Whether the browser can draw by WebGL; taken for granted until it says otherwise."""
    check = st.components.v2.component("bhpvas_webgl", js=_WEBGL_CHECK)
    said = check(key="webgl", on_missing_change=_webgl_missing, height=1)
    return not (said.missing or st.session_state.get("no-webgl"))


def _webgl_missing() -> None:
    st.session_state["no-webgl"] = True


def _drawn(session: Session, draw: Callable[[], go.Figure], look: object) -> go.Figure:
    """The map as it is on the screen, or drawn anew where that is not what there is to see."""
    state = st.session_state
    before, figure = state.get("map-drawn", (None, None))
    seen = before == look and "sentence-map" in state
    if figure is None or not seen or state.get("map-marks") != session.sentences:
        # Streamlit shows a figure that it knows with what was selected there before: so none is
        # equal to an earlier one.
        number = 0 if figure is None else figure.layout.meta + 1
        figure = draw().update_layout(meta=number)
        state["map-drawn"], state["map-marks"] = (look, figure), session.sentences
    return figure


def _colouring(found: MeasuredStates, colour: str, *, after: bool) -> Groups | Amounts:
    """What colours the sentences of one model."""
    model = found.after if after else found.before
    if colour == "change":
        outcome = found.table["outcome"].to_numpy()
        symbols = np.array([_OUTCOME_SYMBOLS.get(what, "circle") for what in outcome])
        values = found.table["change"].to_numpy()
        return Amounts("change of the label's probability", values, True, symbols)
    if colour == "confidence":
        return Amounts("probability of the answer", model.probabilities.max(1))
    if colour == "right":
        return Groups("Right or wrong", _RIGHT, model.right.astype(int), _RIGHT_MARKS)
    if colour in ("label", "prediction"):
        codes = model.labels if colour == "label" else model.predictions
        return Groups(colour.capitalize(), model.label_names, codes)
    grouping = found.groupings[colour]
    return Groups(grouping.title, grouping.names, grouping.codes)


def _moves(found: MeasuredStates) -> list[Moves]:
    outcome = found.table["outcome"].to_numpy()
    colours = {
        "same": style.FAINT,
        "other": style.MUTED,
        "lost": style.LOST,
        "gained": style.GAINED,
    }
    return [Moves(name, np.flatnonzero(outcome == name), hue) for name, hue in colours.items()]


def _selected(*, pointer: str, marked: bool) -> None:
    """Take what the pointer selected; ``marked``: the browser's own marks show it well enough.

    Of thousands of points they do, where one panel shows them: drawing these anew takes long.
    """
    points = st.session_state["sentence-map"].selection.points
    picked = {int(point["customdata"]) for point in points if "customdata" in point}
    st.session_state["map-marks"] = picked if marked and pointer != "click" else None
    if picked:
        session = sessions.current()
        choose(session.sentences ^ picked if pointer == "click" else picked)


def choose(places: Sequence[int] | set[int] | frozenset[int]) -> None:
    """Select exactly these sentences, and show them."""
    sessions.change(partial(Session.choosing_sentences, places=places))
    st.session_state["rows"] = CHOSEN if places else EVERY
    st.session_state["panel-of-samples"] = HEADS if places else SLICES


# --- the selection --------------------------------------------------------------------------------


def selection(found: MeasuredStates, session: Session) -> None:
    """What is selected, in numbers, and the way out."""
    chosen = samples_tasks.selected(session)
    n = int(chosen.sum())
    with st.container(
        key="chosen", horizontal=True, vertical_alignment="center", border=True, gap="small"
    ):
        if not n:
            st.markdown(
                "**Select sentences** on the map: draw around them, or filter the table below. "
                "Then see what the scheme does to them, and which heads they need.",
                width="stretch",
            )
            return
        before, after = found.before.right[chosen].mean(), found.after.right[chosen].mean()
        said = f"**{text.plural(n, 'sentence')} selected:** accuracy "
        if found.pruned:
            outcome = found.table["outcome"].to_numpy()[chosen]
            said += (
                f"{text.percent(before)} {text.ARROW} {text.percent(after)}%, "
                f"{int((outcome == 'lost').sum())} lost, {int((outcome == 'gained').sum())} gained"
            )
        else:
            said += f"{text.percent(after)}%"
        rest = ~chosen
        if rest.any():
            said += f"; :small[the rest {text.percent(found.after.right[rest].mean())}%]"
        st.markdown(said, width="stretch")
        st.button("Clear", key="clear-sentences", on_click=choose, args=((),), type="tertiary")


# --- slices ---------------------------------------------------------------------------------------


def panel(found: MeasuredStates, session: Session) -> None:
    """Slices of all sentences, or the heads that the selected ones need."""
    with st.container(horizontal=True, gap="small", key="panel-row"):
        shown = st.segmented_control(
            "Panel",
            [SLICES, HEADS],
            default=SLICES,
            required=True,
            key="panel-of-samples",
            persist_state="session",
            label_visibility="collapsed",
        )
        row = st.container(horizontal=True, gap="small", width="content")
    if shown == SLICES:
        slices(found, row)
    else:
        heads_that_matter(found, session, row)


def slices(found: MeasuredStates, row: DeltaGenerator) -> None:
    """What the scheme does to each slice; a click on one selects its sentences."""
    titles = {name: one.title for name, one in found.groupings.items()}
    with row:
        by, measure = slice_controls(titles, "slices", width=150)
    table = found.slices(by)
    figure = slice_changes(table, measure) if found.pruned else slice_levels(table, measure)
    # One height whatever the grouping, so that nothing below jumps; what does not fit scrolls.
    with st.container(height=348, border=False, key="slices"):
        figures.chart(
            figure,
            key="slices-chart",
            on_select=partial(_slice_selected, found=found, by=by),
            selection_mode="points",
            height=figure.layout.height,
            alt=f"Change of {measure} by {titles[by].lower()}, {text.plural(len(table), 'slice')}",
        )
    st.selectbox(
        "Select a slice",
        list(found.groupings[by].names),
        index=None,
        key=f"slice-{by}",
        placeholder="Select a slice: click it, or choose it here",
        on_change=_slice_named,
        kwargs={"found": found, "by": by},
        label_visibility="collapsed",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        help.footnote(
            f"{'Change with' if found.pruned else 'With'} 95% interval, worst on top.",
            ("Slices", texts.SLICES),
            key="slices",
        )
        download(
            "CSV",
            lambda: csv_text(table),
            f"slices-by-{titles[by].lower()}.csv",
            type="tertiary",
            icon=":material/download:",
            help="Download the slices as CSV",
        )


def _slice_selected(*, found: MeasuredStates, by: str) -> None:
    points = st.session_state["slices-chart"].selection.points
    if points and "customdata" in points[0]:
        _choose_slice(found.groupings[by], points[0]["customdata"][0])


def _slice_named(*, found: MeasuredStates, by: str) -> None:
    """The keyboard's way to select a slice."""
    if (name := st.session_state[f"slice-{by}"]) is not None:
        _choose_slice(found.groupings[by], name)


def _choose_slice(grouping: Grouping, name: str) -> None:
    code = grouping.names.index(name)
    choose([int(place) for place in np.flatnonzero(grouping.codes == code)])


# --- heads that matter for the selection ----------------------------------------------------------


def heads_that_matter(found: MeasuredStates, session: Session, row: DeltaGenerator) -> None:
    """Importance of every head for the selected sentences against the rest."""
    chosen = samples_tasks.selected(session)
    if not chosen.any() or chosen.all():
        st.caption(
            "Select some of the sentences, on the map or in the table: here you will see which "
            "heads matter more for them than for the rest."
        )
        return
    with row:
        kind: Any = st.segmented_control(
            "Importance as",
            ["share", "amount"],
            default="share",
            required=True,
            key="difference-kind",
            persist_state="session",
            label_visibility="collapsed",
        )
        model = ALONE
        if found.pruned:
            model = st.segmented_control(
                "In the model",
                [ALONE, AFTER],
                default=ALONE,
                required=True,
                key="difference-model",
                persist_state="session",
                label_visibility="collapsed",
            )
    variant = session.now if model == AFTER else session.start
    result, mask = samples_tasks.comparison(session, variant, kind), variant.mask
    width, height = size(mask.layers, mask.heads)
    if result is None:
        st.skeleton(height)
        return
    scale = 100 if kind == "share" else 1
    unit = "points" if kind == "share" else "|∂loss/∂gate|"
    hover = _heads_said(result, mask, scale, "%" if kind == "share" else "")
    tags, evidence = role_labels(session) if session.labelled else (None, None)
    figure = difference_map(
        scale * result.difference,
        result.found(),
        mask,
        session.mask,
        session.selected,
        title=f"selected − rest, {unit}",
        hover=hover if evidence is None else np.char.add(hover.astype(str), evidence),
        labels=tags,
    )
    about = f"Difference in importance of each head, {result.chosen} sentences against the rest"
    if session.split == "calibration":
        clickable_map(figure, session.mask, pointer="head", key="difference-map", alt=about)
    else:
        figures.chart(figure, key="difference-map", width=width, height=height, alt=about)
    help.footnote(
        f"Red: matters more for these {result.chosen:,} than for the rest. {_tested(result)}",
        ("Heads that matter here", texts.DIFFERENCE),
        key="difference",
    )
    roles_switch(session, "difference-map")
    if session.split == "evaluation":
        st.caption(
            "It explains these evaluation sentences and must not choose heads, which would then be "
            "measured on what chose them. To select heads by it, look at calibration sentences."
        )


def _tested(result: GroupComparison) -> str:
    if not result.tested:
        return f"Not tested: fewer than {FEWEST_TO_TEST}."
    count, heads = int(result.found().sum()), int(np.isfinite(result.p).sum())
    return f"Dot: beyond chance, {count} of {heads} (p ≤ 0.05, corrected for all {heads})."


def _heads_said(result: GroupComparison, mask: HeadMask, scale: float, unit: str) -> np.ndarray:
    def said(layer: int, head: int) -> str:
        here, rest = scale * result.chosen_mean[layer, head], scale * result.rest_mean[layer, head]
        if np.isnan(here):
            return f"<b>L{layer}H{head}</b> removed"
        p = result.p[layer, head]
        test = "" if np.isnan(p) else f"<br>{text.p_value(float(p))}, corrected"
        return (
            f"<b>L{layer}H{head}</b><br>selected {text.number(here)}{unit}, "
            f"rest {text.number(rest)}{unit}{test}"
        )

    return np.array([[said(la, he) for he in range(mask.heads)] for la in range(mask.layers)])


# --- the table ------------------------------------------------------------------------------------


def table(found: MeasuredStates, session: Session) -> None:
    """Sentences with both answers: sort, filter, search, download, open."""
    help.heading(
        "Sentences",
        "Click a column to sort, Open to see what the heads do with a sentence.",
        ("Changes", workbench_texts.CHANGED),
        key="sentences",
    )
    whole = found.table
    chosen = samples_tasks.selected(session)
    rows = {EVERY: np.ones(len(whole), dtype=bool), CHOSEN: chosen}
    if found.pruned:
        outcome = whole["outcome"].to_numpy()
        rows |= {"changed": outcome != "same", "lost": outcome == "lost"}
        rows |= {"gained": outcome == "gained"}
    rows["wrong"] = ~found.after.right
    if st.session_state.get("rows") not in rows:
        st.session_state["rows"] = EVERY
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
        kept: Any = st.segmented_control(
            "Rows",
            list(rows),
            required=True,
            key="rows",
            format_func=lambda name: f"{name} {int(rows[name].sum()):,}",
            label_visibility="collapsed",
        )
        search = st.text_input(
            "Search",
            key="search",
            placeholder="Search sentence, label or tag",
            label_visibility="collapsed",
            width=240,
        )
        shown = np.flatnonzero(rows[kept] & _matching(whole, search))
        count = text.plural(len(shown), "sentence")
        st.button(
            f"Select {count}",
            key="select-shown",
            on_click=choose,
            args=([int(place) for place in shown],),
            disabled=not len(shown),
            help="Select exactly the sentences in the table.",
        )
        download(
            "CSV",
            lambda: csv_text(whole.iloc[shown], index_label="place"),
            f"sentences-{session.split}.csv",
            type="tertiary",
            icon=":material/download:",
            help=f"Download {count} as CSV",
        )
    st.dataframe(
        _visible(whole.iloc[shown], found),
        key=f"sentences-{session.split}",
        hide_index=True,
        height=360,
        row_height=30,
        column_config={
            "open": st.column_config.ButtonColumn(
                "",
                width=64,
                pinned=True,
                type="tertiary",
                key="open-sentence",
                on_click=_open,
                args=(tuple(int(place) for place in shown),),
            ),
            "sentence": st.column_config.TextColumn("Sentence", width=420),
            "pair": st.column_config.TextColumn("Second sentence", width=300),
            "label": st.column_config.TextColumn("Label"),
            "before": st.column_config.TextColumn("Unpruned"),
            "after": st.column_config.TextColumn("Pruned" if found.pruned else "Prediction"),
            **{
                f"confidence {when}": st.column_config.NumberColumn(
                    "p", format="%.2f", width=52, help="Probability of the answer"
                )
                for when in ("before", "after")
            },
            **{
                f"loss {when}": st.column_config.NumberColumn(title, format="%.3f")
                for when, title in (
                    ("before", "Loss unpruned"),
                    ("after", "Loss pruned" if found.pruned else "Loss"),
                )
            },
            "change": st.column_config.NumberColumn(
                "Δ p(label)", format="%+.3f", help="Change of the probability of the label"
            ),
            "outcome": st.column_config.TextColumn("Outcome"),
            "tag": st.column_config.TextColumn("Tag"),
            "tokens": st.column_config.NumberColumn("Tokens", width=66),
        },
    )


def _matching(whole: pd.DataFrame, search: str) -> np.ndarray:
    """Which rows hold every word that is searched for, in whatever capitals: bool ``[N]``."""
    found = np.ones(len(whole), dtype=bool)
    if not search.strip():
        return found
    searched = whole["sentence"]
    for name in ("pair", "label", "tag"):
        searched = searched + " " + whole[name] if name in whole else searched
    searched = searched.str.casefold()
    for word in search.casefold().split():
        found &= searched.str.contains(word, regex=False).to_numpy()
    return found


def _visible(rows: pd.DataFrame, found: MeasuredStates) -> pd.DataFrame:
    if not found.pruned:
        same = ["before", "confidence before", "loss before", "change", "outcome"]
        rows = rows.drop(columns=same)
    return rows.assign(open="Open")[["open", *rows.columns]]


def _open(places: tuple[int, ...]) -> None:
    place = places[int(st.session_state["open-sentence"]["row"])]
    sessions.change(partial(Session.opening_sentence, place=place))
