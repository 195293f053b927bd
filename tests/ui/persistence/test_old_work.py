"""Work that an earlier version kept on disk: it opens as what it was, and is kept as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.heads import HeadId, parse_heads
from bhpvas.recovery.finetuning import TuningSettings
from bhpvas.ui.persistence.records import recorded, restored
from bhpvas.ui.persistence.workspaces import Workspaces
from bhpvas.ui.state.session import Curves, Opened, PendingStep, Search, Session
from tests.scheme.test_old_files import branched

WORKS = Workspaces(Path(__file__).parent / "old")
#: Of which a work that was kept then knows nothing.
LATER = {
    "heads_only": False,
    "narrowing": False,
    "widths": [],
    "family": None,
    "target": None,
    "parser": None,
    "threshold": None,
}
HEADS = frozenset(parse_heads("L0H1,L1H3"))


def busy(data: Splits) -> Session:
    """A session in which everything that is recorded was set, and two steps were deleted."""
    session = Session("owner/name", data, branched()).deleting(4).deleting(2)
    return replace(
        session,
        selected=HEADS,
        picks=3,
        pending=PendingStep("remove", parse_heads("L0H0,L0H2"), "lowest", {"k": [1, None]}, 7),
        ablating=True,
        measuring=True,
        cost_asked=True,
        opened=Opened("good ☃", "pair", 5, "calibration"),
        switched=frozenset({HeadId(0, 0)}),
        labelled=True,
        split="calibration",
        sentences=frozenset({11, 2}),
        search=Search("combined", 3, HEADS, 1, 0.01, 5, (("stability", 0.5, "remove"),)),
        turned=HEADS,
        recovering="compensate",
        tuning=TuningSettings(epochs=2.5, embeddings=True),
        curves=Curves(("fisher", "random"), (None, "compensate"), 4, 20, 1),
    )


def test_a_busy_session_opens_and_is_kept_as_it_was(dataset: Dataset) -> None:
    data = Splits(dataset, dataset, "by hand")
    record = WORKS.read("0123456789ab").content
    session = restored(record, data)
    assert session == busy(data)
    record["wish"] |= {
        "learnt_from": None,
        "then": None,
        "neurons": None,
    }  # of which it knew nothing yet
    del record["opened"]["label"]  # which the data say
    assert recorded(session) == record | LATER
    back = session.putting_back().putting_back().scheme
    assert set(back.steps) == set(branched().steps)


def test_a_fresh_session_opens_and_is_kept_as_it_was(dataset: Dataset) -> None:
    data = Splits(dataset, dataset, "by hand")
    record = WORKS.read("ba9876543210").content
    assert restored(record, data) == Session(None, data, branched())
    assert recorded(restored(record, data)) == record | LATER
