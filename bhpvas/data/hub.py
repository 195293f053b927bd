"""Data sets of the Hugging Face hub, by ids such as ``glue/sst2`` or ``stanfordnlp/imdb@main``.

The package ``datasets`` is imported when an id is loaded and not before. Its releases since 4.0 run
no code of a data set and read no pickles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bhpvas.data.tables import Piece, Table
from bhpvas.errors import DataError

if TYPE_CHECKING:
    import datasets

# Seconds to wait for the hub's first answer, so that a machine without network says so at once.
ANSWER_SECONDS = 5.0
# Rows that are taken at once from a part, which lies in a memory-mapped file.
_ROWS_AT_ONCE = 4_096

# Names that data sets had before every one had an owner.
_OWNED = {
    path.partition("/")[2]: path
    for path in (
        "fancyzhx/ag_news", "fancyzhx/amazon_polarity", "facebook/anli", "PolyAI/banking77",
        "fancyzhx/dbpedia_14", "dair-ai/emotion", "nyu-mll/glue", "stanfordnlp/imdb",
        "google-research-datasets/paws", "cornell-movie-review-data/rotten_tomatoes",
        "stanfordnlp/snli", "stanfordnlp/sst2", "aps/super_glue", "cardiffnlp/tweet_eval",
        "facebook/xnli", "fancyzhx/yelp_polarity", "Yelp/yelp_review_full",
    )
}  # fmt: skip
# Tasks that everyone calls by their own name, and in which collection they are.
_TASKS = dict.fromkeys(("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "wnli"), "nyu-mll/glue")

_ID = re.compile(
    r"(?P<path>\w[\w.-]*(?:/\w[\w.-]*)?)(?::(?P<config>[\w.+-]+))?(?:@(?P<revision>[\w./-]+))?"
)


@dataclass(frozen=True)
class HubId:
    """A data set of the hub, one of its configurations, and a revision (branch, tag or commit).

    >>> HubId.parse("glue:sst2@main")
    HubId(path='glue', config='sst2', revision='main')
    >>> str(HubId.parse("stanfordnlp/imdb"))
    'stanfordnlp/imdb'
    """

    path: str
    config: str | None = None
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubId:
        """Read ``name``, ``name:config``, ``name@revision`` or ``name:config@revision``."""
        match = _ID.fullmatch(text.strip())
        if match is None:
            raise DataError(
                f"{text.strip()!r} is neither a file nor a hub id: name a file, or an id such as "
                "glue:sst2 or stanfordnlp/imdb@main."
            )
        return cls(match["path"], match["config"], match["revision"])

    def owned(self) -> tuple[str, str | None, str | None]:
        """Path, configuration and revision as the hub names them today.

        >>> HubId.parse("glue/mnli").owned()
        ('nyu-mll/glue', 'mnli', None)
        >>> HubId.parse("mrpc@main").owned()
        ('nyu-mll/glue', 'mrpc', 'main')
        """
        collection, _, member = self.path.partition("/")
        if collection in _OWNED and self.config is None:
            return _OWNED[collection], member or None, self.revision
        if self.path in _TASKS and self.config is None:
            return _TASKS[self.path], self.path, self.revision
        return _OWNED.get(self.path, self.path), self.config, self.revision

    def __str__(self) -> str:
        config = f":{self.config}" if self.config else ""
        return self.path + config + (f"@{self.revision}" if self.revision else "")


def load_parts(hub_id: HubId) -> Mapping[str, datasets.Dataset]:
    """The parts (train, validation, …) of a data set, fetched or taken from the hub's cache.

    With ``HF_HUB_OFFLINE=1`` in the environment only the cache is asked. Raises
    :class:`~bhpvas.errors.DataError` if the package ``datasets`` is missing, the hub cannot be
    reached, or it has no such data set, configuration or revision.
    """
    try:
        import datasets
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
        from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
    except ImportError as error:
        raise DataError(
            f"{hub_id} is a hub id, and reading it needs the package datasets: install it with "
            "pip install 'bhpvas[hub]', or give a file."
        ) from error

    path, config, revision = hub_id.owned()
    try:
        if not huggingface_hub.constants.HF_HUB_OFFLINE:
            # The library itself asks again and again for half a minute when there is no network.
            api = huggingface_hub.HfApi()
            revision = api.dataset_info(path, revision=revision, timeout=ANSWER_SECONDS).sha
        parts: Mapping[str, datasets.Dataset] = datasets.load_dataset(
            path, config, revision=revision
        )
        return parts
    except RepositoryNotFoundError as error:
        raise DataError(
            f"The hub has no data set {hub_id.path} that can be read without an account: check "
            "the id, log in with 'hf auth login', or give a file."
        ) from error
    except httpx.RequestError as error:
        raise DataError(
            f"{hub_id} cannot be fetched because the hub does not answer: check the network, give "
            "a file, or set HF_HUB_OFFLINE=1 to use a copy fetched earlier."
        ) from error
    except (
        HfHubHTTPError,
        ImportError,
        OSError,
        RuntimeError,
        ValueError,
        datasets.exceptions.DatasetsError,
        pa.ArrowException,
    ) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(
            f"{hub_id} cannot be loaded from the hub ({reason}): check the id, its configuration "
            "and revision, or give a file."
        ) from error


def class_names(part: datasets.Dataset, column: str) -> tuple[str, ...] | None:
    """The names of the classes that a column of numbers stands for, if the data set gives them."""
    return tuple(getattr(part.features[column], "names", None) or ()) or None


def further_columns(part: datasets.Dataset, used: Sequence[str] = ()) -> list[str]:
    """The columns besides those used whose cells are words, numbers or classes, and no lists."""
    import datasets

    return [
        name
        for name, feature in part.features.items()
        if name not in used
        and isinstance(feature, datasets.ClassLabel | datasets.Value)
        and "binary" not in feature.dtype
    ]


def part_table(
    part: datasets.Dataset,
    name: str,
    columns: Sequence[str],
    rows: Sequence[int] | np.ndarray | None = None,
) -> Table:
    """Columns of a part, or of some of its rows (counted from 0), as a table; it counts from 1."""
    chosen = np.arange(len(part)) if rows is None else np.asarray(rows)

    def read() -> Iterator[Piece]:
        for start in range(0, len(chosen), _ROWS_AT_ONCE):
            some = chosen[start : start + _ROWS_AT_ONCE]
            cells = part.select(some).select_columns(list(columns)).to_dict()
            yield Piece((some + 1).tolist(), cells)

    classes = {column: names for column in columns if (names := class_names(part, column))}
    nested = tuple(name for name in part.features if name not in further_columns(part))
    return Table(name, tuple(columns), read, "row", class_names=classes, nested=nested)
