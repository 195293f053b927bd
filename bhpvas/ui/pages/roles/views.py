"""The views of the Roles page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.charts.head_columns import Column
from bhpvas.charts.relations import RelationRow, by_layer, offset, relation_map
from bhpvas.heads import HeadId
from bhpvas.interpret.roles import DIRECTIONS, ROLES, Direction, Roles, examples, role_changes
from bhpvas.ui.jobs import roles as role_tasks
from bhpvas.ui.jobs.roles import Counted
from bhpvas.ui.pages.roles import texts
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session, Variant
from bhpvas.ui.widgets import controls, help, tables
from bhpvas.ui.widgets.head_map import wide_chart
from bhpvas.ui.widgets.synced import hold

if TYPE_CHECKING:
    from bhpvas.interpret.align import Sentence
    from bhpvas.interpret.roles import Example, Relation

ROLE = "role"
_BEST, _ANY = "either way", "any relation"
_WAYS = {
    _BEST: _BEST,
    "dependent to head": "dependent → head",
    "head to dependent": "head → dependent",
}
#: Examples of each kind that are shown at once.
SHOWN = 6


# --- settings -------------------------------------------------------------------------------------


def settings(counted: Counted) -> tuple[str, str]:
    """The relation that colours the map and the direction; and what is judged at all."""
    counts = counted.collector.relations.counts
    judged = [name for name, count in counts.items() if count >= role_tasks.fewest()]
    colours = [ROLE, _ANY, *judged]
    if st.session_state.get("role-relation") not in colours:
        st.session_state["role-relation"] = ROLE
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="roles"):
        relation = st.selectbox(
            "Colour by", colours, key="role-relation", width=190, persist_state="session"
        )
        way = controls.choice(
            "Direction", _WAYS, key="role-way", titled=True, format_func=_WAYS.get
        )
        st.number_input(
            "Fewest dependents",
            1,
            100_000,
            role_tasks.FEWEST,
            key="fewest",
            width=150,
            persist_state="session",
            help="Relations with fewer dependents in the calibration split are not judged.",
        )
    return relation, way


def accuracy(relation: Relation, way: str) -> np.ndarray:
    """Accuracy of every head in a direction, or in the better one: ``[L, H]``."""
    return relation.accuracy if way == _BEST else relation.accuracies[DIRECTIONS.index(way)]


def column(roles: Roles, relation: str, way: str) -> Column:
    """What colours the map: each head's first role, or how far it beats the best fixed offset."""
    values = np.full((roles.mask.layers, roles.mask.heads), np.nan)
    if relation == ROLE:
        for head, found in roles.evidence.items():
            if found:
                values[head.layer, head.head] = list(ROLES).index(found[0].role)
        return Column(
            name=ROLE,
            title="role",
            values=values,
            higher_means="keep",
            help="Text and colour: what the head attends to. Empty: no role beats its rival.",
        )
    chosen = [one for name, one in roles.relations.items() if one.judged and name == relation]
    every = chosen or [one for one in roles.relations.values() if one.judged]
    gains = [100 * (accuracy(one, way) - one.baseline) for one in every]
    return Column(
        name="role-gain",
        title="points over the best offset",
        values=np.max(gains, axis=0) if gains else values,
        higher_means="keep",
        help=f"Blue: follows {text.verbatim(relation)} better than the best fixed offset does. "
        "Text: its role.",
        change=True,
        rise_is_bad=False,
    )


def hover(roles: Roles, shown: Column) -> np.ndarray:
    """What a cell says besides its role."""
    said = [f"<b>{head}</b>" for head in roles.mask.every_head()]
    if shown.name != ROLE:
        gains = map(text.signed, shown.values.ravel().tolist())
        said = [
            f"{head}<br>{gain} points over the best fixed offset"
            for head, gain in zip(said, gains, strict=True)
        ]
    return np.array(said).reshape(shown.values.shape)


# --- who does what --------------------------------------------------------------------------------


def without_tokens(sentences: Sequence[Sentence]) -> str:
    """What is said of sentences with words that no token belongs to; "" where there are none."""
    words = [int((~sentence.seen).sum()) for sentence in sentences]
    some = sum(map(bool, words))
    if not some:
        return ""
    return (
        f"{text.plural(sum(words), 'word')} of {some:,} of the "
        f"{text.plural(len(words), 'calibration sentence')} {'has' if sum(words) == 1 else 'have'} "
        "no token, as the model reads no further or drops what they are made of: they count for no "
        "relation."
    )


def summary(roles: Roles, sentences: Sequence[Sentence], session: Session) -> None:
    """How many heads carry each role and which; of selected heads, the evidence."""
    help.heading(
        "Roles found",
        f"On {text.plural(roles.sentences, 'calibration sentence')}; a head can have several.",
        ("Roles", texts.ROLES),
        *((role.title, help.role_help(name)) for name, role in ROLES.items()),
        key="summary",
    )
    carriers = [(_titled(label), heads) for label, heads in roles.carriers().items()]
    idle = tuple(head for head in roles.mask if not roles.evidence.get(head))
    rows = [
        [
            tables.name(title),
            tables.text(str(len(heads)), wrap=False),
            tables.text(text.head_list(heads, 12)),
        ]
        for title, heads in [*carriers, ("No role", idle)]
    ]
    for said in filter(None, (_no_syntax(roles), without_tokens(sentences))):
        st.caption(said)
    chosen = sorted(session.selected)
    if chosen:
        proofs = []
        for head in chosen:
            removed = "Removed by the scheme. " if head in session.mask.removed else ""
            found = "; ".join(map(role_tasks.evidence, roles.evidence.get(head, ())))
            proof = removed + (found or "No role beats its rival.")
            proofs.append([tables.name(str(head)), tables.text(proof)])
        tables.reading_table(["Selected", "Evidence"], proofs, height=112)
    tables.reading_table(["Role", "Heads", "Which"], rows, height=124 if chosen else 236)


def _no_syntax(roles: Roles) -> str:
    """Where no head follows a relation: the one that comes nearest, and what would help."""
    judged = [one for one in roles.relations.values() if one.judged]
    if not judged or any(label.startswith("syntactic") for label in roles.carriers()):
        return ""
    gains = np.nan_to_num([one.accuracy - one.baseline for one in judged], nan=-1.0)  # [R, L, H]
    place, layer, head = np.unravel_index(int(gains.argmax()), gains.shape)
    best = judged[int(place)]
    return (
        f"**No head follows a relation** beyond doubt. {HeadId(int(layer), int(head))} comes "
        f"nearest: {text.percent(float(best.accuracy[layer, head]), 0)}% of "
        f"{text.plural(best.count, f'{text.verbatim(best.name)} dependent')}, the best fixed "
        f"offset {text.percent(best.baseline, 0)}%. The test corrects for "
        f"{text.plural(roles.mask.kept_count, 'head')}, {text.plural(len(judged), 'relation')} "
        f"and both directions, so it takes more than {text.plural(roles.sentences, 'sentence')}: "
        "use larger data. Lowering “Fewest dependents” only adds relations to correct for."
    )


def _titled(label: str) -> str:
    role, _, detail = label.partition(": ")
    return f"{ROLES[role].title}: {detail}" if detail else ROLES[role].title


# --- relations ------------------------------------------------------------------------------------


def relations(roles: Roles, way: str, session: Session) -> tuple[str, HeadId] | None:
    """Relations against heads; a click asks for examples. Returns the cell that was clicked."""
    columns = (
        "One column a layer, with the head that follows the relation best; the map above shows "
        "every head of one relation."
        if by_layer(roles.mask)
        else "One column a head, layer by layer."
    )
    help.heading(
        "Relations against heads",
        f"{columns} Blue beats the best fixed offset, pale red does not, a dot is a role; click a "
        "cell for examples.",
        ("Relations", texts.RELATIONS),
        key="relations",
    )
    _parsed(roles)
    if not roles.looked_for:
        return None
    judged = [one for one in roles.relations.values() if one.judged]
    if not judged:
        most = max((one.count for one in roles.relations.values()), default=0)
        st.markdown(
            f"No relation has {role_tasks.fewest():,} dependents here; the most frequent has "
            f"{most:,}. Lower “Fewest dependents” to judge it all the same."
        )
        return None
    rows = [_row(one, roles, way) for one in judged]
    chosen = _chosen(rows, roles)
    wide_chart(
        relation_map(rows, roles.mask, chosen),
        key="relation-map",
        alt=f"Accuracy of {text.plural(roles.mask.kept_count, 'head')} on "
        f"{text.plural(len(rows), 'relation')} against the best fixed offset",
        on_select=partial(_cell_chosen, names=tuple(row.name for row in rows)),
        selection_mode="points",
    )
    left = len(roles.relations) - len(judged)
    if left:
        st.caption(
            f"Beside each name: its dependents, and the best fixed offset with its accuracy. "
            f"{text.plural(left, 'relation')} with fewer than {role_tasks.fewest():,} "
            "dependents not judged."
        )
    _choose_cell([row.name for row in rows], roles, chosen)
    return chosen


def _parsed(roles: Roles) -> None:
    """What parsed the sentences, what it looked for, and how many are foreign to it."""
    if note := roles.parsed.note(role_tasks.FOREIGN_WAY_OUT):
        st.warning(text.verbatim(note))
    if roles.looked_for:
        st.caption(
            f"Parsed by {text.verbatim(roles.parsed.by)}; looked for "
            f"{text.plural(len(roles.looked_for), 'relation')}, found {len(roles.relations):,}.",
            help=text.verbatim(", ".join(roles.looked_for)),
        )


def _choose_cell(names: list[str], roles: Roles, chosen: tuple[str, HeadId]) -> None:
    """The keyboard's way to ask for examples."""
    hold("examples-relation", chosen[0])
    hold("examples-head", str(chosen[1]))
    with st.container(horizontal=True, gap="small", key="examples-of"):
        heads = [str(head) for head in roles.mask.every_head()]
        for label, key, options, width in (
            ("Examples of the relation", "examples-relation", names, 200),
            ("by the head", "examples-head", heads, 120),
        ):
            st.selectbox(label, options, key=key, on_change=_cell_named, width=width)


def _cell_named() -> None:
    state = st.session_state
    head = HeadId.parse(state["examples-head"])
    state["role-cell"] = state["examples-relation"], (head.layer, head.head)


def follows(one: Relation, roles: Roles, way: str) -> np.ndarray:
    """Which heads have the role of following a relation in a direction, or in any: ``[L, H]``."""
    found = np.zeros((roles.mask.layers, roles.mask.heads), dtype=bool)
    for head, evidence in roles.evidence.items():
        found[head.layer, head.head] = any(
            proof.role == "syntactic"
            and proof.detail == one.name
            and way in (_BEST, proof.direction)
            for proof in evidence
        )
    return found


def _row(one: Relation, roles: Roles, way: str) -> RelationRow:
    ways = [
        [DIRECTIONS[index] if way == _BEST else way for index in layer] for layer in one.direction
    ]
    shown, found = accuracy(one, way), follows(one, roles, way)
    return RelationRow(one.name, one.count, one.offset, one.baseline, shown, found, ways)


def _chosen(rows: list[RelationRow], roles: Roles) -> tuple[str, HeadId]:
    """The clicked cell, or at first the one that gains most."""
    asked = st.session_state.get("role-cell")
    if asked is not None and asked[0] in {row.name for row in rows}:
        head = HeadId(*asked[1])
        if head in set(roles.mask.every_head()):
            return asked[0], head
    gains = np.array([np.nan_to_num(row.accuracy - row.baseline, nan=-1.0) for row in rows])
    best, layer, head_number = np.unravel_index(int(gains.argmax()), gains.shape)
    return rows[int(best)].name, HeadId(int(layer), int(head_number))


def _cell_chosen(names: tuple[str, ...]) -> None:
    points = st.session_state["relation-map"].selection.points
    if points:
        row, layer, head = points[0]["customdata"][:3]
        st.session_state["role-cell"] = (names[int(row)], (int(layer), int(head)))


# --- examples -------------------------------------------------------------------------------------


def show_examples(
    counted: Counted, roles: Roles, chosen: tuple[str, HeadId], way: str, session: Session
) -> None:
    """Sentences where the head follows the relation, and where it does not."""
    name, head = chosen
    relation = roles.relations[name]
    better = DIRECTIONS[int(relation.direction[head.layer, head.head])]
    direction: Direction = better if way == _BEST else next(one for one in DIRECTIONS if one == way)
    found = examples(roles, counted.sentences, name, head, direction)
    follows = [one for one in found if one.follows]
    strays = [one for one in found if not one.follows]
    help.heading(
        f"{head} and {name}",
        f"{_WAYS[direction]}: {text.percent(len(follows) / max(len(found), 1))}% of "
        f"{text.plural(len(found), 'dependent')}; {offset(relation.offset)} gets "
        f"{text.percent(relation.baseline)}%.",
        ("Relations", texts.RELATIONS),
        key="examples",
    )
    kinds = {"Follows the relation": follows, "Does not": strays}
    for place, (title, these) in zip(st.columns(2, gap="large"), kinds.items(), strict=True):
        with place:
            st.markdown(f"**{title}:** {len(these):,}")
            one_each = list({one.sentence: one for one in these}.values())
            spread = one_each[:: max(len(one_each) // SHOWN, 1)]  # from the whole data
            for number, one in enumerate(spread[:SHOWN]):
                _example(one, counted, session, f"{title}-{number}")
    st.caption(
        "Underlined: the dependent. Framed: its head by the parser. Struck through: the word that "
        "the attention head takes for it instead."
    )


def _example(one: Example, counted: Counted, session: Session, key: str) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"example-{key}"
    ):
        st.html(_marked(one, counted), width="stretch")
        st.button(
            "Open",
            key=f"open-{key}",
            icon=":material/open_in_new:",
            type="tertiary",
            help="Read this sentence closely on the Sentence page.",
            on_click=_open,
            args=(one.sentence,),
        )


def _marked(one: Example, counted: Counted) -> str:
    """The sentence with its words marked; several texts stand one after the other."""
    parse = counted.sentences[one.sentence].parse
    kinds = {one.dependent: "dependent", one.head: "governor"}
    if one.predicted is not None and not one.follows:
        kinds[one.predicted] = "taken"
    parts = []
    for side, content in enumerate(parse.texts):
        last = 0
        for word, (start, end) in enumerate(parse.spans):
            if parse.sides[word] != side:
                continue
            said = escape(content[start:end])
            kind = kinds.get(word)
            marked = f'<span class="{kind}">{said}</span>' if kind else said
            parts += [escape(content[last:start]), marked]
            last = end
        parts.append(escape(content[last:]))
    return f'<div class="example">{"".join(parts)}</div>'


def _open(row: int) -> None:
    sessions.change(lambda session: session.reading(session.sentence_at(row, "calibration")))
    st.session_state["to-sentence"] = True


# --- what a scheme changes ------------------------------------------------------------------------


def changes(roles: Roles, session: Session) -> None:
    """Who carried each role before and who does under the scheme."""
    help.heading(
        "How the scheme changes the roles",
        "Which roles lose heads, and which nobody carries any more.",
        ("Changes of roles", texts.ROLE_CHANGES),
        key="changes",
    )
    if session.now == session.start:
        st.caption("Nothing is removed yet: every role is carried as above.")
        return
    asked = st.session_state.get("roles-anew") == session.now
    after = role_tasks.counted(session, session.now, ask=asked)
    now = None if after is None else role_tasks.judged(session, after, role_tasks.fewest())
    every = role_changes(roles, session.mask, now)
    found = [one for one in every if set(one.before) != set(one.after)]
    lost = [_titled(one.label) for one in found if one.lost]
    neurons = session.mask.masked_neurons or ()
    removed = text.heads_and_neurons(len(session.mask.masked), len(neurons))
    st.markdown(
        f"**{removed or 'No head'} removed.** "
        + (
            f"Carried by nobody now: {text.verbatim(', '.join(lost))}."
            if lost
            else "Every role is still carried."
        )
    )
    if found:
        tables.reading_table(
            ["Role", "Before", "Now", "Gone", "New"],
            [
                [
                    tables.name(_titled(one.label)),
                    tables.text(str(len(one.before)), wrap=False),
                    tables.text("nobody" if one.lost else str(len(one.after)), wrap=False),
                    tables.text(text.head_list(set(one.before) - set(one.after), 10)),
                    tables.text(text.head_list(set(one.after) - set(one.before), 10)),
                ]
                for one in found
            ],
            height=260,
        )
    if now is None:
        st.button(
            f"Find the roles of the {text.plural(session.mask.kept_count, 'kept head')} anew",
            key="anew",
            on_click=_anew,
            args=(session.now,),
            help="Without it, kept heads are taken to keep their roles.",
        )
        st.caption("Kept heads are taken to keep their roles.")
    else:
        st.caption("Found anew under the scheme, on the same sentences.")


def _anew(variant: Variant) -> None:
    st.session_state["roles-anew"] = variant
    sessions.change(Session.retrying)
