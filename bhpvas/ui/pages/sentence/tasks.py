"""Tasks of the Sentence page: its parse, attention, prediction, contributions, saliency."""

from __future__ import annotations

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.interpret.parser import parser_identity
from bhpvas.interpret.saliency import Saliency, saliency
from bhpvas.interpret.sentence import Contributions, Reading, contributions, read
from bhpvas.model.engine import predict
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.ui.jobs import models
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state.session import Session, Variant

#: The key of the label, of several, that is explained.
EXPLAINED = "explained-label"
#: Sentences of its split by which a short one is taken for English or not.
AROUND = 200


def _name(what: str, session: Session, variant: Variant, *more: object) -> tuple[object, ...]:
    said = session.sentence
    return (what, *models.named(session, variant), said.text, said.pair, *more)


def reading(session: Session) -> Task:
    """The parse of the open sentence, and its attention with what is switched here."""
    said, variant = session.sentence, session.here

    def do(job: Job) -> Reading:
        data = session.sentences_of(said.split)
        around = (*data.texts[:AROUND], *(data.pairs or ())[:AROUND])
        return read(
            models.classifier_of(session, variant),
            said.text,
            said.pair,
            variant.mask,
            parser=session.parser,
            among=around,
        )

    parsing = parser_identity(session.parser), session.sentences_of(said.split).fingerprint
    return Task(_name("reading", session, variant, *parsing), "Reading the sentence", do, turn=0)


def unread(session: Session) -> str:
    """What the model cannot read of the open sentence; "" where that is nothing."""
    said, classifier = session.sentence, models.classifier_named(session.model)
    encoded = classifier.encode_texts([said.text], None if said.pair is None else [said.pair])
    own = int(encoded.lengths[0]) - encoded.special
    what = "sentence" if said.pair is None else "pair"
    notes = []
    if encoded.truncated:
        notes.append(
            f"This {what} is cut: the model reads {classifier.geometry.max_length:,} tokens, and "
            "what is beyond them has no part in anything here."
        )
    if encoded.unknown:
        notes.append(
            f"Unknown to the tokenizer: {encoded.unknown:,} of {text.plural(own, 'token')}. They "
            "are all the same to the model."
        )
    if encoded.empty:
        notes.append(f"The tokenizer finds nothing in this {what}.")
    return " ".join(notes)


def prediction(session: Session, variant: Variant) -> Task:
    """The logits of the open sentence: float32 ``[C]``."""
    said = session.sentence

    def do(job: Job) -> np.ndarray:
        pairs = None if said.pair is None else [said.pair]
        classifier = models.classifier_of(session, variant)
        logits = predict(classifier, classifier.encode_texts([said.text], pairs), variant.mask)
        return logits[0]

    return Task(_name("prediction", session, variant), "Predicting", do, turn=0)


def explained(session: Session, logits: np.ndarray) -> int:
    """The output that is explained: what the scheme answers by its ``logits`` ``[C]``, or, of
    several labels, the one that the person chose.
    """
    task = models.task_of(session)
    chosen = st.session_state.get(EXPLAINED)
    if isinstance(task, SeveralLabels) and chosen in task.label_names:
        return task.label_names.index(chosen)
    return task.label_to_explain(logits)


def contributing(session: Session, label: int) -> Task:
    """What each head contributes to the decision, with what is switched here."""
    said, variant = session.sentence, session.here

    def do(job: Job) -> Contributions:
        classifier = models.classifier_of(session, variant)
        return contributions(classifier, said.text, pair=said.pair, label=label, mask=variant.mask)

    return Task(
        _name("contributions", session, variant, label),
        f"Removing each of {text.plural(variant.mask.kept_count, 'head')} from this decision",
        do,
        turn=0,
    )


def salient(session: Session, label: int) -> Task:
    """What each token adds to the decision, with what is switched here."""
    said, variant = session.sentence, session.here

    def do(job: Job) -> Saliency:
        classifier = models.classifier_of(session, variant)
        return saliency(classifier, said.text, label=label, pair=said.pair, mask=variant.mask)

    return Task(_name("saliency", session, variant, label), "Attributing to tokens", do, turn=1)
