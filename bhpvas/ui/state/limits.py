"""Limits: what a server that strangers use allows; one setting, ``BHPVAS_HOSTED=1``, sets them.

Streamlit hands secrets of its top level on as environment variables, so the setting may stand there
as well. ``BHPVAS_MODELS`` and ``BHPVAS_DATA_SETS`` list, with commas between, the hub ids that such
a server offers besides the sample; nothing else is fetched for anybody.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain

from bhpvas import text
from bhpvas.data.dataset import Splits
from bhpvas.errors import LimitError

_ON = {"1", "true", "yes", "on"}
_ELSEWHERE = "bhpvas on your own computer has no such limit"


@dataclass(frozen=True)
class Limits:
    """What a server allows; ``None`` is no limit.

    ``models`` and ``data_sets`` are the hub ids (of models also folders) that may be opened besides
    the sample. ``megabytes`` bounds an upload of sentences, ``scheme_megabytes`` that of a scheme,
    ``sentences`` and ``tokens`` the data of a session, ``seconds`` the time that one job may work.
    Where it is ``hosted``, nothing is kept on disk.
    """

    hosted: bool = False
    models: tuple[str, ...] | None = None
    data_sets: tuple[str, ...] | None = None
    megabytes: int = 50
    scheme_megabytes: int = 256
    sentences: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    finetuning: bool = True

    def check_model(self, source: str | None) -> None:
        """Raises :class:`LimitError` for a model that may not be opened here."""
        if source is not None and self.models is not None and source not in self.models:
            raise LimitError(
                f"The model {source!r} is not offered on this server, which has "
                f"{', '.join(('the sample', *self.models))}: {_ELSEWHERE}."
            )

    def check_data_set(self, hub_id: str) -> None:
        """Raises :class:`LimitError` for a hub id of data that may not be fetched here."""
        if self.data_sets is not None and hub_id not in self.data_sets:
            raise LimitError(
                f"The data set {hub_id!r} is not offered on this server: upload a file of it, or "
                f"use one of {', '.join(('the sample', *self.data_sets))}."
            )

    def check_upload(self, name: str, size: int, megabytes: int) -> None:
        """Raises :class:`LimitError` for a file of more bytes than ``megabytes``, one of the two
        bounds here: Streamlit leaves it to the browser to keep to what a widget allows.
        """
        if size > megabytes * 2**20:
            raise LimitError(
                f"{name} is larger than the {megabytes} MB that may be uploaded here: choose a "
                "smaller file, or a part of it."
            )

    def check_sentences(self, data: Splits) -> None:
        """Raises :class:`LimitError` where there are too many sentences."""
        count = len(data.calibration) + len(data.evaluation)
        if self.sentences is not None and count > self.sentences:
            raise LimitError(
                f"{data.evaluation.name} has {count:,} sentences, and this server takes up to "
                f"{self.sentences:,}: upload a part of it; {_ELSEWHERE}."
            )

    def check_text(self, data: Splits) -> None:
        """Raises :class:`LimitError` where a small file unpacked to more text than one may hold."""
        parts = (data.calibration, data.evaluation)
        texts = chain.from_iterable(chain(part.texts, part.pairs or ()) for part in parts)
        if self.hosted and sum(map(len, texts)) > self.megabytes * 2**20:
            raise LimitError(
                f"{data.evaluation.name} holds more than the {self.megabytes} MB of text that this "
                f"server takes: upload fewer or shorter sentences; {_ELSEWHERE}."
            )

    def check_tokens(self, name: str, count: int) -> None:
        """Raises :class:`LimitError` where the sentences have too many tokens together.

        They need not be counted further than that.
        """
        if self.tokens is not None and count > self.tokens:
            raise LimitError(
                f"{name} has at least {count:,} tokens, and this server takes up to "
                f"{self.tokens:,}: upload fewer or shorter sentences; {_ELSEWHERE}."
            )

    def check_finetuning(self) -> None:
        """Raises :class:`LimitError` where models may not be trained."""
        if not self.finetuning:
            raise LimitError(
                f"This server does not fine-tune: compensate instead (view Propose); {_ELSEWHERE}."
            )

    def sentence(self) -> str:
        """The limits in a sentence; empty where there are none."""
        if not self.hosted:
            return ""
        assert self.seconds is not None
        return (
            f"This public server takes up to {self.megabytes} MB, {self.sentences:,} sentences and "
            f"{self.tokens:,} tokens, gives a job {text.seconds(self.seconds)}, fetches nothing "
            "but what it offers, and does not fine-tune. On your own computer bhpvas has no such "
            "limits."
        )


def current() -> Limits:
    """The limits of this server."""
    if os.environ.get("BHPVAS_HOSTED", "").strip().lower() not in _ON:
        return Limits()
    return Limits(
        hosted=True,
        models=_listed("BHPVAS_MODELS"),
        data_sets=_listed("BHPVAS_DATA_SETS"),
        megabytes=5,
        scheme_megabytes=5,
        sentences=5_000,
        tokens=200_000,
        seconds=300.0,
        finetuning=False,
    )


def _listed(variable: str) -> tuple[str, ...]:
    parts = os.environ.get(variable, "").split(",")
    return tuple(part.strip() for part in parts if part.strip())
