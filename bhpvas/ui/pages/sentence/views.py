"""The views of the Sentence page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.arcs import MOST_ARCS, Dependency, HeadArcs, sentence_arcs, strongest
from bhpvas.charts.attention import attention_matrix, layer_maps, rollout_map
from bhpvas.charts.bertviz import head_view, model_view
from bhpvas.charts.head_columns import Column
from bhpvas.data.dataset import Split
from bhpvas.heads import HeadId
from bhpvas.interpret.parse import Parsed
from bhpvas.interpret.roles import followed
from bhpvas.interpret.saliency import SALIENCIES
from bhpvas.interpret.sentence import Contributions, Reading, SentenceUnits
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.ui.jobs import models, tasks
from bhpvas.ui.jobs.roles import FOREIGN_WAY_OUT
from bhpvas.ui.pages.sentence import decisions, texts
from bhpvas.ui.pages.sentence import tasks as sentence_tasks
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Opened, Session
from bhpvas.ui.state.settings import kept_as
from bhpvas.ui.widgets import controls, figures, help
from bhpvas.ui.widgets.feed_forward import map_size
from bhpvas.ui.widgets.head_map import head_grid, selecting, wide_chart
from bhpvas.ui.widgets.synced import hold

#: Sentences that the list offers at once, since all of it travels with the page; a search reaches
#: the others.
MOST_LISTED = 1000
LONGEST_TYPED = 2000
_TYPED = "Typed"
_SPLITS: dict[str, Split] = {"Evaluation": "evaluation", "Calibration": "calibration"}
_WORDS, _PIECES = "words", "pieces"
_EXACT, _SLOPE = "exact removal", "gate gradient"
_SWITCH, _SELECT = "switches off", "selects"


# --- which sentence -------------------------------------------------------------------------------


def choose(session: Session) -> None:
    """A sentence of a split, or one that is typed."""
    said, state = session.sentence, st.session_state
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choosing"):
        if state.get("sentence-seen") != said:  # opened here or on another page
            state["sentence-seen"], state["sentence-from"] = said, said.split.capitalize()
            if said.row is None:
                state["sentence-from"], state["sentence-typed"] = _TYPED, said.text
                state["sentence-pair"] = said.pair or ""
        source = controls.choice("Sentence", [*_SPLITS, _TYPED], key="sentence-from", default=None)
        if source == _TYPED:
            _type(session)
        else:
            _choose_row(session, _SPLITS[source])


def _choose_row(session: Session, split: Split) -> None:
    data, said = session.sentences_of(split), session.sentence
    whole: Sequence[str] = data.texts
    if data.pairs is not None:
        whole = [" | ".join(pair) for pair in zip(data.texts, data.pairs, strict=True)]
    listed, left = list(range(len(data))), 0
    if len(data) > MOST_LISTED:
        search = st.text_input(
            "Search",
            key="sentence-search",
            placeholder=f"Search {len(data):,}",
            label_visibility="collapsed",
            width=190,
            persist_state="session",
            help="Words or the number of the sentences to list.",
        )
        listed = _found(whole, search)
        left = len(listed) - MOST_LISTED
        listed = listed[:MOST_LISTED]
    row = said.row if said.split == split else None
    if row is not None and row not in listed:
        listed.insert(0, row)
    state = st.session_state
    if state.get("sentence-list") != data.fingerprint:  # whose rows the browser does not know yet
        state["sentence-list"] = data.fingerprint
        state.pop("sentence-row", None)
    hold("sentence-row", row)
    st.selectbox(
        f"Sentence of the {split} split",
        listed,
        key="sentence-row",
        format_func=lambda place: f"{place} · {whole[place]}",
        placeholder="Choose a sentence" if listed else "No sentence has these words",
        on_change=_open_row,
        args=(split,),
        label_visibility="collapsed",
        width="stretch",
    )
    if left > 0:
        st.caption(f"{left:,} more: search", width="content")


def _found(sentences: Sequence[str], search: str) -> list[int]:
    """The rows with every word that is searched for, in whatever capitals, or with this number."""
    asked = search.casefold().split()
    return [
        row
        for row, sentence in enumerate(sentences)
        if asked == [str(row)] or all(word in sentence.casefold() for word in asked)
    ]


def _open_row(split: Split) -> None:
    row = st.session_state["sentence-row"]
    if row is not None:
        sessions.change(lambda session: session.reading(session.sentence_at(row, split)))


def _type(session: Session) -> None:
    options: dict[str, Any] = {
        "max_chars": LONGEST_TYPED,
        "on_change": _open_typed,
        "label_visibility": "collapsed",
        "width": "stretch",
        "persist_state": "session",
    }
    st.text_input("A sentence", key="sentence-typed", placeholder="Type a sentence", **options)
    if session.data.evaluation.pairs is not None:
        st.text_input("Its pair", key="sentence-pair", placeholder="Second sentence", **options)


def _open_typed() -> None:
    typed = st.session_state["sentence-typed"].strip()
    if typed:
        pair = (st.session_state.get("sentence-pair") or "").strip()
        paired = sessions.current().data.evaluation.pairs is not None
        sessions.change(Session.reading, Opened(typed, pair if paired else None))


# --- predictions ----------------------------------------------------------------------------------


def decision(session: Session) -> int | None:
    """Draw what the unpruned model, the scheme, and the model as switched here answer.

    Returns the output that all that follows is about: the class that the scheme answers, the score,
    or, of several labels, the one that is chosen.
    """
    variants = {"Unpruned": session.start}
    if session.now != session.start:
        variants[f"Scheme, {text.kept(session.mask)}"] = session.now
    if session.switched:
        variants[f"Here, {text.kept(session.mask_here)}"] = session.here
    predictions = [
        tasks.promptly(sentence_tasks.prediction(session, variant)) for variant in variants.values()
    ]
    decided = tasks.promptly(sentence_tasks.prediction(session, session.now))
    task, truth = models.task_of(session), session.truth
    label = None if decided is None else sentence_tasks.explained(session, decided)
    before: np.ndarray | None = None
    cells = []
    for name, logits in zip(variants, predictions, strict=True):
        if logits is not None:
            of = task.label_to_explain(logits) if label is None else label
            cells.append(decisions.cell(task, name, logits, of, before))
            before = logits
    if truth is not None:
        cells.append(decisions.truth(task, truth))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="decision"):
        st.html(f'<div class="answers" id="answers">{"".join(cells)}</div>', width="content")
        if label is not None and isinstance(task, SeveralLabels):
            _which_label(task, label)
        if session.switched:
            st.button(
                "Switch all back",
                on_click=sessions.change,
                args=(lambda current: current.switching(current.switched),),
                type="tertiary",
                key="switch-back",
            )
    return label


def _which_label(task: SeveralLabels, label: int) -> None:
    """Which of several labels is explained: the likeliest until another is chosen."""
    hold(sentence_tasks.EXPLAINED, task.label_names[label])
    st.selectbox(
        "Explain the label",
        task.label_names,
        key=sentence_tasks.EXPLAINED,
        format_func=lambda name: f"explain: {name}",
        label_visibility="collapsed",
        width=220,
        help="Bars, contributions and what a switched head changes are of this label.",
    )


# --- the sentence itself --------------------------------------------------------------------------


def shown_heads(session: Session, found: Contributions | None) -> list[HeadId]:
    """The heads whose attention is drawn: the first selected, else the one that counts most."""
    if session.selected:
        return sorted(session.selected)[: len(style.HEADS)]
    if found is None:
        return []
    strength = np.nan_to_num(np.abs(found.removal), nan=-1.0)
    layer, head = np.unravel_index(int(strength.argmax()), strength.shape)
    return [HeadId(int(layer), int(head))]


def unit_controls() -> tuple[bool, bool, float, str]:
    """Words or pieces, special tokens or none, the threshold, and the saliency."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="line"):
        unit = controls.choice("Units", [_WORDS, _PIECES], **kept_as("units"))
        special_tokens = st.toggle("[CLS] and [SEP]", value=True, **kept_as("marks"))
        threshold = st.slider(
            "Arcs from",
            0.0,
            1.0,
            0.1,
            0.01,
            format="arcs from %.2f",
            **kept_as("threshold"),
            width=170,
            label_visibility="collapsed",
            help="Attention weights below this are not drawn.",
        )
        method = st.selectbox(
            "Bars",
            list(SALIENCIES),
            **kept_as("saliency"),
            format_func=lambda name: f"bars: {SALIENCIES[name].title.lower()}",
            width=230,
            label_visibility="collapsed",
        )
    return unit == _WORDS, special_tokens, threshold, method


def arcs(
    session: Session,
    found: Reading,
    units: SentenceUnits,
    heads: list[HeadId],
    label: int | None,
    *,
    threshold: float,
    method: str,
    room: int | None = None,
) -> None:
    """Dependencies above the words, attention of some heads below them, saliency between.

    A long line moves together where the ``room`` in pixels is known.
    """
    salient = None if label is None else tasks.promptly(sentence_tasks.salient(session, label))
    drawn = []
    for head in heads:
        attention = units.attention(found.maps[head.layer, head.head])
        drawn.append(HeadArcs(str(head), attention, head in found.mask.removed))
    task = models.task_of(session)
    name = decisions.towards(task, label) if label is not None else ""
    figure = sentence_arcs(
        units.names,
        _dependencies(found, units, heads),
        drawn,
        threshold=threshold,
        saliency=None if salient is None else units.sums(salient.values[method]),
        saliency_title=SALIENCIES[method].title,
        towards=name,
        room=room,
    )
    wide_chart(
        figure,
        key="arcs",
        alt=f"Dependencies and attention of {text.head_list(heads)} over the words: "
        f"{' '.join(units.names)}",
    )
    for note in _notes(session, found, heads, drawn, threshold):
        st.caption(note)
    help.footnote(
        f"{_above(found)}Bars: {decisions.bars(task, name)} "
        "Below: who looks at whom, thicker for more.",
        ("Dependencies and attention", texts.ARCS),
        *((one.title, help.saliency_help(one.name)) for one in SALIENCIES.values()),
        key="arcs",
    )


def _above(found: Reading) -> str:
    """What stands above the words; "" where nothing does."""
    parse = found.sentence.parse
    if len(parse.foreign) == len(parse.texts) or parse.parser is None:
        return ""
    return f"Above: dependencies by {parse.parser.name}, strong where a shown head follows them. "


def _dependencies(found: Reading, units: SentenceUnits, heads: list[HeadId]) -> list[Dependency]:
    parse = found.sentence.parse
    ways: dict[int, list[str]] = {}
    for head in heads:
        in_map = followed(found.sentence, found.maps[head.layer, head.head])
        for word, directions in in_map.items():
            ways.setdefault(word, []).append(f"{head}, {' and '.join(directions)}")
    drawn = []
    for word, governor in enumerate(parse.heads):
        here, there = units.place_of(word), units.place_of(governor)
        if word == governor or parse.relations[word] == "punct" or here is None or there is None:
            continue
        by = "; ".join(ways.get(word, ()))
        drawn.append(Dependency(here, there, parse.relations[word], by))
    return drawn


def _notes(
    session: Session, found: Reading, heads: list[HeadId], drawn: list[HeadArcs], threshold: float
) -> list[str]:
    """What is not as it was asked for."""
    said = [Parsed.of([found.sentence.parse]).note(FOREIGN_WAY_OUT)]
    if not session.selected and heads:
        said.append(f"No head is selected: {heads[0]}, which contributes most here, is shown.")
    elif len(heads) < len(session.selected):
        said.append(f"The first {len(heads)} of {len(session.selected)} selected heads are shown.")
    if len(found.sentence) < found.length:
        said.append(f"The first {len(found.sentence)} of {found.length} tokens are drawn.")
    most = MOST_ARCS // max(len(drawn), 1)
    if any(len(strongest(one.attention, threshold, most + 1)) > most for one in drawn):
        said.append(f"Of each head the strongest {most} arcs are drawn.")
    return list(filter(None, said))


# --- what each head contributes -------------------------------------------------------------------


def contribution_map(session: Session, found: Contributions | None, label: int | None) -> None:
    """The head map of this decision; a click switches a head off, or selects it."""
    help.heading(
        "What each head contributes",
        f"{decisions.colours(models.task_of(session), label)} Crossed out: off.",
        ("Contributions", texts.contributions(models.task_of(session))),
        key="contributions",
    )
    mask = session.mask_here
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="measure"):
        measure = controls.choice("Contribution by", [_EXACT, _SLOPE], **kept_as("contribution"))
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", width="content", key="clicks"
        ):
            st.caption("Click", width="content")
            click = controls.choice("A click", [_SWITCH, _SELECT], **kept_as("click"))
    values = np.full((mask.layers, mask.heads), np.nan)
    if found is not None:
        values = found.removal if measure == _EXACT else found.slope
    column = Column(
        name="contribution",
        title=decisions.unit(models.task_of(session)),
        values=values,
        higher_means="keep",
        help="",
        change=True,
        rise_is_bad=False,
    )
    with st.container(width=map_size(session)[0]):
        head_grid(
            column,
            session,
            pointer="switch" if click == _SWITCH else "head",
            key="contribution-map",
            mask=mask,
            hover=_hover(session, found, values, label),
        )
        # The keyboard's way to switch heads over for this sentence.
        controls.list_of_heads(
            "Switched for this sentence",
            session,
            session.switched,
            key="switched",
            turn=partial(sessions.change, Session.switching),
            placeholder="Type L3H7 to switch it",
            label_visibility="collapsed",
        )


def _hover(
    session: Session, found: Contributions | None, values: np.ndarray, label: int | None
) -> np.ndarray:
    mask, said = session.mask_here, []
    for head in mask.every_head():
        at = (head.layer, head.head)
        if head in mask.removed:
            why = "switched off here" if head in session.switched else "removed by the scheme"
            said.append(f"<b>{head}</b> {why}")
        elif found is None or label is None:
            said.append(f"<b>{head}</b>")
        else:
            without = decisions.without(found, at)
            said.append(f"<b>{head}</b><br>{text.signed(float(values[at]), 3)} {without}")
    return np.array(said).reshape(mask.layers, mask.heads)


# --- maps -----------------------------------------------------------------------------------------


def maps(session: Session, found: Reading, heads: list[HeadId], units: SentenceUnits) -> None:
    """The matrix of one head, all heads of a layer, or the rollout; one of them is drawn."""
    views = {"one head": _matrix, "a layer": _layer, "rollout": _rollout}
    help.heading(
        "Attention as a matrix",
        "A row looks at the columns; bright is much.",
        ("Attention matrix", texts.MATRIX),
        ("Rollout", texts.ROLLOUT),
        key="maps",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="of"):
        view = controls.choice("Matrix of", views, key="matrix-of")
        choice = st.container(width=170)
    first = heads[0] if heads else HeadId(0, 0)
    views[view](session, found, first, units, choice)


def _matrix(
    session: Session, found: Reading, first: HeadId, units: SentenceUnits, choice: DeltaGenerator
) -> None:
    head = _pick(choice, "matrix-head", list(found.mask.every_head()), first)
    attention = units.attention(found.maps[head.layer, head.head])
    figure = attention_matrix(attention, units.names, title=str(head))
    figures.chart(figure, key="matrix", alt=f"Attention matrix of {head}")


def _layer(
    session: Session, found: Reading, first: HeadId, units: SentenceUnits, choice: DeltaGenerator
) -> None:
    number = _pick(choice, "layer", list(range(found.mask.layers)), first.layer, "L{}".format)
    figure = layer_maps(
        units.attention(found.maps[number]), units.names, number, found.mask, session.selected
    )
    selecting(
        figure,
        pointer="head",
        key="layer-maps",
        height=int(figure.layout.height),
        alt=f"Attention of all heads of layer {number}",
    )
    st.caption("Every head of the layer on one scale; click one to select it.")
    controls.selected_list(session)


def _rollout(
    session: Session, found: Reading, first: HeadId, units: SentenceUnits, choice: DeltaGenerator
) -> None:
    whole = found.units(words=units.words, special_tokens=True)
    places = list(range(len(whole.names)))
    source = _pick(choice, "rollout-of", places, 0, whole.names.__getitem__)
    figure = rollout_map(whole.attention(found.rollout), whole.names, source)
    figures.chart(figure, key="rollout", alt=f"Attention rollout of {whole.names[source]}")
    st.caption(
        "How much of this unit comes from each input unit after each layer, through the kept heads."
    )


def _pick(
    place: DeltaGenerator, key: str, options: list[Any], default: Any, named: Callable = str
) -> Any:
    """A small select box that follows the selection until a person picks something else."""
    follow = f"{key}-default"
    if st.session_state.get(follow) != default or st.session_state.get(key) not in options:
        st.session_state[follow] = st.session_state[key] = default
    return place.selectbox(
        "Of", options, key=key, width=160, label_visibility="collapsed", format_func=named
    )


# --- bertviz --------------------------------------------------------------------------------------


def bertviz(found: Reading, heads: list[HeadId]) -> None:
    """bertviz's own views of the same sentence, drawn once they are asked for."""
    help.heading(
        "bertviz",
        "The views of bertviz on the same attention; removed heads are left empty.",
        ("bertviz", texts.BERTVIZ),
        key="bertviz",
    )
    which = st.segmented_control(
        "View",
        ["Head view", "Model view"],
        key="bertviz",
        label_visibility="collapsed",
        persist_state="session",
    )
    if which is None:
        return
    kept = found.maps * found.mask.array[:, :, None, None]
    tokens, dark = found.sentence.tokens, st.context.theme.type == "dark"
    layer = heads[0].layer if heads else 0
    if which == "Head view":
        shown = [head.head for head in heads if head.layer == layer] or None
        view = head_view(kept, tokens, layer=layer, heads=shown, dark=dark)
    else:
        view = model_view(kept, tokens, layer=layer, dark=dark)
    if view.note:
        st.caption(view.note)
    with st.container(key="bertviz-frame"):
        st.iframe(view.html, height=view.height, alt=f"bertviz {which.lower()}")
