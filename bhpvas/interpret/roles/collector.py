"""Collector of roles: counts relations and attention patterns during one pass, then judges them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from bhpvas.data.dataset import Dataset
from bhpvas.heads import HeadMask
from bhpvas.interpret.align import Sentence, sentences_of
from bhpvas.interpret.parse import Parsed
from bhpvas.interpret.roles.evidence import evidence_of
from bhpvas.interpret.roles.patterns import PatternBatch, PatternCounter
from bhpvas.interpret.roles.registry import RoleSettings
from bhpvas.interpret.roles.relations import RelationBatch, RelationCounter
from bhpvas.interpret.roles.result import Roles
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Gradients, Seen, stream
from bhpvas.progress import Progress, silent


class RoleCollector:
    """Counts relations and attention patterns, batch by batch: a collector for the engine.

    Kept are sums over sentences alone, and with ``keep_predictions`` two bytes for each word, head
    and direction, from which examples can be shown.
    """

    needs = frozenset({"maps"})

    def __init__(
        self,
        sentences: Sequence[Sentence],
        layers: int,
        heads: int,
        *,
        settings: RoleSettings | None = None,
        keep_predictions: bool = True,
    ) -> None:
        self.sentences = sentences
        self.settings = settings or RoleSettings()
        self.relations = RelationCounter(
            sentences, layers, heads, keep_predictions=keep_predictions
        )
        self.patterns = PatternCounter(sentences, layers, heads, self.settings)
        self._batch: tuple[RelationBatch, PatternBatch] | None = None
        # Counts of the batch at hand, with the sums that they belong to.
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def count(
        self,
        classifier: Classifier,
        dataset: Dataset,
        *,
        mask: HeadMask | None = None,
        progress: Progress = silent,
    ) -> None:
        """Count in one pass over the sentences, which are those of ``dataset``."""
        assert len(self.sentences) == len(dataset)
        dataset = dataset.for_task(classifier.task)
        encoded = classifier.encode(dataset)
        stream(classifier, encoded, dataset.labels, [self], mask=mask, progress=progress)

    def see_layer(self, seen: Seen) -> None:
        """Count one layer of a batch; other rows before :meth:`see_batch` begin it again."""
        assert seen.maps is not None
        rows, maps = seen.batch.rows, seen.maps.float()
        if self._batch is None or self._batch[0].rows is not rows:
            self._waiting = []
            padded = rows, maps.shape[-1], maps.device
            self._batch = self.relations.batch(*padded), self.patterns.batch(*padded)
        self._waiting += self.relations.count(seen.layer, self._batch[0], maps)
        self._waiting += self.patterns.count(seen.layer, self._batch[1], maps)

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        """Add what was counted, now that all layers of the batch were seen."""
        for total, count in self._waiting:
            total += count
        self._waiting, self._batch = [], None

    def roles(
        self, mask: HeadMask, dataset: str = "", settings: RoleSettings | None = None
    ) -> Roles:
        """Judge what was counted, by other settings if given; removed heads get no role.

        ``rare_among`` belongs to the counting and stays as it was.
        """
        settings = settings or self.settings
        relations = self.relations.judged(mask.kept, settings.min_count)
        patterns = self.patterns.judged(mask.kept)
        evidence = {one: tuple(evidence_of(one, relations, patterns, settings)) for one in mask}
        return Roles(
            mask=mask,
            dataset=dataset,
            settings=settings,
            sentences=len(self.sentences),
            parsed=Parsed.of(sentence.parse for sentence in self.sentences),
            relations=relations,
            patterns=patterns,
            evidence=evidence,
            predictions=self.relations.predictions,
        )


def find_roles(
    classifier: Classifier,
    dataset: Dataset,
    *,
    sentences: Sequence[Sentence] | None = None,
    parser: str | None = None,
    mask: HeadMask | None = None,
    settings: RoleSettings | None = None,
    keep_predictions: bool = True,
    progress: Progress = silent,
) -> Roles:
    """The roles of every kept head of a classifier, in one pass over the sentences.

    What a role is, its rule and its source stand in
    :data:`~bhpvas.interpret.roles.registry.ROLES`; accuracies are shares of 1.

    - ``sentences``: those of :func:`~bhpvas.interpret.align.sentences_of`, made here if not given;
      whoever wants :func:`~bhpvas.interpret.roles.example.examples` afterwards keeps them.
    - ``parser``: the name or folder of the spaCy pipeline that parses the sentences made here. If
      not given, the English one does, and sentences that are plainly not English count for no
      relation.
    - ``mask``: the heads that are kept, all if not given.
    - ``settings``: where the lines are drawn.
    - ``keep_predictions``: whether examples can be shown afterwards.

    Raises :class:`~bhpvas.errors.BhpvasError` where the parser is not installed.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take(range(8))
    >>> roles = bhpvas.find_roles(bhpvas.load_classifier(), data)
    >>> roles.label(bhpvas.HeadId(0, 0))  # eight sentences are too few to claim anything
    'none'
    >>> roles.relations["det"].accuracy.shape
    (6, 12)
    """
    mask = mask or classifier.full_mask()
    if sentences is None:
        sentences = sentences_of(classifier, dataset, parser=parser)
    layers, heads = classifier.geometry.layers, classifier.geometry.heads
    collector = RoleCollector(
        sentences, layers, heads, settings=settings, keep_predictions=keep_predictions
    )
    collector.count(classifier, dataset, mask=mask, progress=progress)
    return collector.roles(mask, dataset.name)
