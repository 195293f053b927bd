"""Criteria that compare heads with each other.

All of them use the unbiased estimator of HSIC (Song et al. 2012), because the biased one calls
independent heads similar where there are few samples. No activations are stored: every pair follows
from cross-products that are summed while the sentences stream by.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.special import entr

from bhpvas.criteria.base import DEAD, Criterion, Measurement
from bhpvas.data.sampling import Sample
from bhpvas.errors import DataError
from bhpvas.heads import HeadMask
from bhpvas.model import distributed
from bhpvas.model.batching import Batch, batches
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.engine import Gradients, Seen, stream

# The cross-product matrix has (L·H·d_h)² entries, of which half are used: 340 MB for 12 × 12 heads
# of 64. Larger models are compared by the mean output of each sentence instead.
_LARGEST_TOKEN_WIDTH = 10_000
# What float32 leaves of the HSIC of a map whose rows are all alike, as a share of its size.
_MAP_ROUNDING = 1e-12
# Sentences whose mean outputs are kept where the tokens' cross-product would be too large.
_MOST_POOLED_SENTENCES = 2048


def _of_tokens(seen: Seen) -> Tensor:
    """What a layer's heads put out for every real token: float32 ``[n, H·d_h]``."""
    outputs = seen.outputs.flatten(2).float()  # [B, T, H·d_h]
    return outputs[seen.batch.real] if seen.batch.padded else outputs.flatten(0, 1)


class _Outputs:
    """Keeps what every head puts out for the tokens of a single batch.

    ``needs`` are those of the pass in which the batch will be counted: they decide how attention is
    computed, and so about the last digits.
    """

    def __init__(self, needs: frozenset[str]) -> None:
        self.needs = needs
        self.layers: list[Tensor] = []

    def see_layer(self, seen: Seen) -> None:
        if seen.layer == 0:
            self.layers.clear()
        self.layers.append(_of_tokens(seen))

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        """Everything was seen layer by layer."""


class OutputProducts:
    """Sums from which the unbiased CKA of every two heads' outputs follows.

    One sample is a real token (``unit == "token"``) or, for very wide models, the mean over a
    sentence's tokens (``unit == "sentence"``). Outputs are shifted by the mean of the first batch:
    CKA does not change, and the products of a batch are exact enough in float32. They are summed in
    float64, so that neither the number of sentences nor that of processes shows.
    """

    needs = frozenset({"outputs"})

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        geometry = classifier.geometry
        self.layers, self.heads = geometry.layers, geometry.layers * geometry.heads
        self.head_size = geometry.head_size
        self.layer_width = geometry.heads * geometry.head_size
        width = self.layers * self.layer_width
        self.unit = "token" if width <= _LARGEST_TOKEN_WIDTH else "sentence"
        place = classifier.device
        self._waiting = torch.empty(0)  # [n, L·H·d_h] while a batch passes
        self.shift: Tensor | None = None
        self.samples = torch.zeros((), dtype=torch.int64, device=place)
        if self.unit == "token":
            # Only layer pairs a ≤ b are summed; the rest follows by symmetry. One matrix a layer:
            # of a whole square, large pages would be fetched for the half that is not used.
            self.products = [
                torch.zeros(self.layer_width, width - first, device=place, dtype=torch.float64)
                for first in range(0, width, self.layer_width)
            ]
        else:
            self.sample = Sample.of(sample.total, _MOST_POOLED_SENTENCES)
            self.pooled = torch.zeros(len(self.sample), width, device=place)
        self.sums = torch.zeros(width, device=place, dtype=torch.float64)
        self.norm_products = torch.zeros(self.heads, self.heads, device=place, dtype=torch.float64)
        self.norm_sums = torch.zeros(self.heads, device=place, dtype=torch.float64)
        self.norm_weighted = torch.zeros(self.heads, width, device=place, dtype=torch.float64)
        self.rounding = torch.finfo(torch.bfloat16 if classifier.mixed else classifier.dtype).eps

    def centre(
        self,
        classifier: Classifier,
        encoded: Encoded,
        labels: np.ndarray,
        mask: HeadMask,
        needs: frozenset[str],
    ) -> None:
        """Agree with the other processes on the shift: all of them pass the first batch."""
        if self.unit == "token" and distributed.count() > 1:
            first, seen = batches(classifier, encoded)[0], _Outputs(needs)
            with distributed.alone():
                stream(classifier, encoded, labels, [seen], mask=mask, indices=first)
            self.shift = torch.cat(seen.layers, 1).mean(0)

    def see_layer(self, seen: Seen) -> None:
        """Keep one layer's samples until all layers are there."""
        if self.unit == "token":
            samples = _of_tokens(seen)
        else:
            real = seen.batch.real[..., None].float()
            samples = (seen.outputs.flatten(2).float() * real).sum(1) / real.sum(1)
        if seen.layer == 0:
            self._waiting = samples.new_empty(len(samples), self.layers * self.layer_width)
        first = seen.layer * self.layer_width
        self._waiting[:, first : first + self.layer_width] = samples

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        """Add the batch's products."""
        if self.unit == "token":
            self._add(self._waiting)
        else:
            here, places = self.sample.among(batch.rows)
            self.pooled[places] = self._waiting[here]
        self._waiting = self._waiting.new_empty(0)

    def _add(self, samples: Tensor) -> None:
        """Add the products of samples ``[n, L·H·d_h]``, which are shifted in place."""
        if self.shift is None:
            self.shift = samples.mean(0)
        samples -= self.shift
        by_layer = samples.view(len(samples), self.layers, -1, self.head_size)
        norms = torch.cat([one.square().sum(-1) for one in by_layer.unbind(1)], 1)  # [n, L·H]
        self.samples += len(samples)
        self.sums += samples.sum(0)
        self.norm_sums += norms.sum(0)
        self.norm_products += norms.T @ norms
        self.norm_weighted += norms.T @ samples
        if self.unit == "sentence":
            return
        for layer, products in enumerate(self.products):
            first = layer * self.layer_width
            part = slice(first, first + self.layer_width)
            products += samples[:, part].T @ samples[:, first:]

    def add_up(self) -> None:
        if self.unit == "sentence":
            distributed.add_up(self.pooled)
            self._add(self.pooled)
            return
        norms = (self.norm_sums, self.norm_products, self.norm_weighted)
        distributed.add_up(self.samples, *self.products, self.sums, *norms)

    def cka(self) -> np.ndarray:
        """Unbiased CKA of every two heads: float64 ``[L·H, L·H]``, 1 on the diagonal.

        NaN where a head's output does not vary. Raises :class:`DataError` under four samples.
        """
        n = int(self.samples)
        if n < 4:
            raise DataError(
                f"Similarity needs at least 4 {self.unit}s to compare heads, and there are {n}: "
                "take more sentences, or other criteria."
            )
        hsic = torch.zeros(self.heads, self.heads, dtype=torch.float64)
        sums = self.sums.view(self.heads, self.head_size)  # s_i = Σ x_i
        # kᵀ(L 1): the squared norms of head i against head j's row sums.
        norm_rows = torch.einsum(
            "ijd,jd->ij", self.norm_weighted.view(self.heads, self.heads, self.head_size), sums
        )
        own = sums.square().sum(1) - self.norm_sums  # 1ᵀ K̃ 1
        for head in range(self.heads):  # one at a time: all of a layer's products are large
            first = head * self.head_size
            rows = slice(first, first + self.head_size)
            if self.unit == "token":
                layer, inside = divmod(first, self.layer_width)
                products = self.products[layer][inside : inside + self.head_size, inside:]
            else:
                products = (self.pooled[:, rows].T @ self.pooled[:, first:]).double()
            trace = products.square().sum(0).view(-1, self.head_size).sum(1)  # ‖X_iᵀ X_j‖²
            mixed = ((sums[head] @ products).view(-1, self.head_size) * sums[head:]).sum(1)
            norms = self.norm_products[head, head:]
            trace = trace - norms
            mixed = mixed - norm_rows[head, head:] - norm_rows[head:, head] + norms
            hsic[head, head:] = (
                trace + own[head] * own[head:] / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2)
            ).cpu() / (n * (n - 3))
        hsic += torch.triu(hsic, 1).T
        assert self.shift is not None
        shift = self.shift.double().view(self.heads, self.head_size)
        size = (shift.square().sum(1) + self.norm_sums / n).cpu().numpy()  # mean ‖x‖² of each head
        return normalised(hsic.numpy(), (2 * self.rounding) ** 4 * size**2)


def normalised(hsic: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """CKA from HSIC: divided by the geometric mean of the two heads' own HSIC.

    NaN where a head's own is at most what ``rounding`` leaves ``[L·H]``: it does not vary.
    """
    own = np.diag(hsic)
    own = np.where(own > rounding, own, np.nan)
    return hsic / np.sqrt(np.outer(own, own))


class _MapPairs:
    """Base: sums a pairwise ``[L·H, L·H]`` quantity of the attention maps over sentences."""

    needs = frozenset({"maps"})

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        heads = classifier.geometry.layers * classifier.geometry.heads
        self.total = torch.zeros(heads, heads, dtype=torch.float64, device=classifier.device)
        self.sentences = sample.total
        self._waiting: list[Tensor] = []

    def see_layer(self, seen: Seen) -> None:
        """Keep one layer's maps until all layers are there."""
        assert seen.maps is not None
        if seen.layer == 0:
            self._waiting.clear()
        self._waiting.append(seen.maps.float() * seen.batch.real[:, None, :, None])

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        """Add every pair."""
        self.add(torch.cat(self._waiting, 1), batch.real)  # [B, L·H, T, T]
        self._waiting.clear()

    def add_up(self) -> None:
        distributed.add_up(self.total)

    def add(self, maps: Tensor, real: Tensor) -> None:
        """Add the pairs of a batch's maps, whose padded rows are zero."""
        raise TypeError(f"{type(self).__name__} must say what it sums")


class MapProducts(_MapPairs):
    """Unbiased HSIC of every two heads' maps within a sentence, tokens as samples, summed.

    ``size`` ``[L·H]`` sums what it would be of maps that are not centred.
    """

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        super().__init__(classifier, sample)
        self.size = torch.zeros_like(self.total[0])

    def add_up(self) -> None:
        super().add_up()
        distributed.add_up(self.size)

    def add(self, maps: Tensor, real: Tensor) -> None:
        lengths = real.sum(1)
        enough = lengths >= 4  # the estimator is not defined below
        maps, lengths = maps[enough], lengths[enough].double()
        for sentence, n in zip(maps, lengths, strict=True):  # [L·H, T, T]
            grams = (sentence @ sentence.transpose(1, 2)).double()
            grams.diagonal(dim1=1, dim2=2).zero_()
            rows = grams.sum(-1)  # [L·H, T]
            totals = rows.sum(-1)
            flat = grams.flatten(1)
            trace = flat @ flat.T
            self.size += trace.diagonal() / (n * (n - 1))
            self.total += (
                trace
                + torch.outer(totals, totals) / ((n - 1) * (n - 2))
                - 2 * (rows @ rows.T) / (n - 2)
            ) / (n * (n - 3))


class MapDivergence(_MapPairs):
    """Jensen–Shannon divergence of every two heads' attention, mean over rows, summed."""

    def add(self, maps: Tensor, real: Tensor) -> None:
        weight = (real / real.sum(1, keepdim=True)).float()  # [B, T]
        entropies = torch.einsum("bhtj,bt->h", entr(maps), weight)
        for head in range(maps.shape[1]):
            middle = (maps[:, head : head + 1] + maps[:, head:]) / 2
            mixed = torch.einsum("bhtj,bt->h", entr(middle), weight)
            divergence = mixed - (entropies[head] + entropies[head:]) / 2
            self.total[head, head:] += divergence.double()
            self.total[head + 1 :, head] += divergence[1:].double()


def similarity(found: OutputProducts) -> Measurement:
    """Unbiased linear CKA of the heads' outputs (Kornblith et al. 2019)."""
    return _against_others(found.cka())


def similarity_maps(found: MapProducts) -> Measurement:
    """CKA of the attention maps: HSIC within a sentence, averaged before it is normalised."""
    rounding = _MAP_ROUNDING * found.size.cpu().numpy()
    return _against_others(normalised(found.total.cpu().numpy(), rounding))


def similarity_js(found: MapDivergence) -> Measurement:
    """``1 − JSD / ln 2`` of the attention maps (Clark et al. 2019)."""
    divergence = found.total.cpu().numpy() / found.sentences
    return _against_others(1.0 - np.clip(divergence / math.log(2), 0.0, 1.0))


def _against_others(matrix: np.ndarray) -> Measurement:
    # The score against kept heads needs the mask, which a collector does not know.
    return Measurement(values=np.full(len(matrix), np.nan), matrix=matrix)


def similarity_to_kept(matrix: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Each head's highest similarity to another kept head: ``[L, H]`` from ``[L·H, L·H]``.

    ``kept`` is ``[L, H]``, non-zero = kept. Undefined, NaN, of a head whose similarities are, and
    of one beside which no other is kept.
    """
    known = ~np.isnan(matrix) & (np.asarray(kept).reshape(1, -1) != 0)
    np.fill_diagonal(known, False)
    highest = np.where(known, matrix, -np.inf).max(1)
    return np.where(np.isfinite(highest), highest, np.nan).reshape(kept.shape)


CRITERIA = (
    Criterion(
        name="similarity",
        title="Similarity",
        higher_means="remove",
        summary="High: another kept head puts out much the same.",
        formula=r"\begin{aligned}s(i)&=\max_{j\ \text{kept}}\mathrm{CKA}(i,j)\\"
        r"\mathrm{CKA}(i,j)&=\frac{\mathrm{HSIC}_1(i,j)}"
        r"{\sqrt{\mathrm{HSIC}_1(i,i)\,\mathrm{HSIC}_1(j,j)}}\\"
        r"\mathrm{HSIC}_1(i,j)&=\frac1{n(n-3)}\Big(\mathrm{tr}\,K_iK_j"
        r"-\frac{2\,\mathbf 1^\top K_iK_j\mathbf 1}{n-2}\\"
        r"&\quad+\frac{\mathbf 1^\top K_i\mathbf 1\;\mathbf 1^\top K_j\mathbf 1}"
        r"{(n-1)(n-2)}\Big)\\"
        r"K_i&=X_iX_i^\top,\ \text{diagonal}=0,\ n\ \text{samples}\end{aligned}",
        source="Kornblith et al. 2019; unbiased estimator of Song et al. 2012",
        misleads="Two heads that say the same can be passed on differently, since each has its own "
        "part of the output projection; and of a pair, one has to stay. A sample is a token; where "
        f"layers times hidden size exceed {_LARGEST_TOKEN_WIDTH:,} (as 24 × 1,024 do) it is the "
        "mean over a sentence's tokens, and how heads differ within a sentence does not count.",
        collector=OutputProducts,
        measure=similarity,
        undefined=f"{DEAD} or whose output does not vary, and beside which no other is kept",
    ),
    Criterion(
        name="similarity-maps",
        title="Similarity of maps",
        higher_means="remove",
        summary="High: another kept head relates the tokens of a sentence alike.",
        formula=r"\mathrm{CKA}\ \text{of}\ A_i\ \text{and}\ A_j,\ \text{tokens as samples}",
        source="Kornblith et al. 2019 on attention maps; averaged as in Nguyen et al. 2021",
        misleads="Heads that look at the same place can read different things there.",
        collector=MapProducts,
        measure=similarity_maps,
        undefined=f"{DEAD} or looks alike from every token, beside which no other is kept, and of "
        "every head where no sentence has four tokens, [CLS] and [SEP] included",
    ),
    Criterion(
        name="similarity-js",
        title="Overlap of attention",
        higher_means="remove",
        summary="High: another kept head looks at the same tokens.",
        formula=r"1-\mathrm{mean}_{b,t}\ \mathrm{JSD}(A_i[t]\,\|\,A_j[t])\,/\,\ln 2",
        source="Clark et al. 2019, What Does BERT Look At?",
        misleads="Heads that rest on [SEP] all look alike here, whatever else they do.",
        collector=MapDivergence,
        measure=similarity_js,
        undefined=f"{DEAD}, and beside which no other is kept",
    ),
)
