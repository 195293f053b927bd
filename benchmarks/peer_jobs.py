"""What a user would otherwise run, in an environment of its own: :mod:`benchmarks.peers` starts it.

Reads the name of a job from each line of its input, does it, and answers with a line of JSON: the
seconds that it took and the file with its numbers. Batches are made ready before, so that the time
is that of the job alone. Needs torch and transformers 4.57; TextPruner and Torch-Pruning where
their jobs are asked for.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

Batches = list[dict[str, torch.Tensor]]


class Peers:
    """The same model and tokens as bhpvas has, and one method a job."""

    def __init__(self, model: str, inputs: str) -> None:
        given = np.load(inputs)
        starts = np.cumsum(given["lengths"]) - given["lengths"]
        self.ids = [
            torch.from_numpy(given["tokens"][start : start + length].astype(np.int64))
            for start, length in zip(starts, given["lengths"], strict=True)
        ]
        self.labels = torch.from_numpy(given["labels"])
        self.removed = torch.from_numpy(given["removed"])  # [L, H], which heads surgery removes
        load = transformers.AutoModelForSequenceClassification.from_pretrained
        # A head mask is honoured by eager attention alone.
        self.eager = load(model, dtype=torch.float32, attn_implementation="eager").eval()
        self.fast = load(model, dtype=torch.float32, attn_implementation="sdpa").eval()
        self.few = int(given["few"])

    def batches(self, size: int, most: int | None = None) -> Batches:
        """The sentences, sorted by length, in padded batches; of all or of the first ``most``."""
        lengths = np.array([len(ids) for ids in self.ids[:most]])
        order = np.argsort(lengths, kind="stable")
        found = []
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            ids = torch.nn.utils.rnn.pad_sequence([self.ids[row] for row in rows], batch_first=True)
            mask = torch.arange(ids.shape[1]) < torch.from_numpy(lengths[rows])[:, None]
            found.append(
                {"input_ids": ids, "attention_mask": mask.long(), "labels": self.labels[rows]}
            )
        return found

    def bertology(self, batches: Batches) -> torch.Tensor:
        """The importance loop of the run_bertology example, as a user would write it."""
        config = self.eager.config
        head_mask = torch.ones(config.num_hidden_layers, config.num_attention_heads)
        head_mask.requires_grad_(True)
        importance, sentences = torch.zeros_like(head_mask), 0
        for batch in batches:
            head_mask.grad = None
            self.eager.zero_grad()
            self.eager(**batch, head_mask=head_mask).loss.backward()
            assert head_mask.grad is not None
            importance += head_mask.grad.abs()
            sentences += len(batch["labels"])
        return importance / sentences

    def textpruner(self, batches: Batches) -> torch.Tensor:
        """TextPruner's importance pass."""
        from textpruner import GeneralConfig, TransformerPruner

        pruner = TransformerPruner(self.fast, general_config=GeneralConfig(use_device="cpu"))
        return pruner.get_importance_score(batches)[0]

    @torch.inference_mode()
    def one_forward_per_head(self, batches: Batches) -> torch.Tensor:
        """The mean loss without each head, one after the other, minus that with all."""
        config = self.eager.config
        head_mask = torch.ones(config.num_hidden_layers, config.num_attention_heads)

        def loss() -> float:
            total = sum(
                float(self.eager(**batch, head_mask=head_mask).loss) * len(batch["labels"])
                for batch in batches
            )
            return total / sum(len(batch["labels"]) for batch in batches)

        whole, changes = loss(), torch.zeros_like(head_mask)
        for layer in range(config.num_hidden_layers):
            for head in range(config.num_attention_heads):
                head_mask[layer, head] = 0
                changes[layer, head] = loss() - whole
                head_mask[layer, head] = 1
        return changes

    @torch.inference_mode()
    def pairwise_cka(self, batches: Batches) -> torch.Tensor:
        """Unbiased linear CKA of every two heads' outputs, pair by pair from Gram matrices."""
        outputs: list[list[torch.Tensor]] = [[] for _ in self.fast.bert.encoder.layer]
        hooks = [
            layer.attention.output.dense.register_forward_pre_hook(
                lambda _, given, kept=kept: kept.append(given[0])
            )
            for layer, kept in zip(self.fast.bert.encoder.layer, outputs, strict=True)
        ]
        for batch in batches:
            self.fast(**{name: batch[name] for name in ("input_ids", "attention_mask")})
        for hook in hooks:
            hook.remove()
        real = [batch["attention_mask"].bool() for batch in batches]
        heads = []
        for kept in outputs:
            values = torch.cat([one[mask] for one, mask in zip(kept, real, strict=True)])  # [n, D]
            heads += values.split(values.shape[1] // self.fast.config.num_attention_heads, dim=1)

        def hsic(one: torch.Tensor, other: torch.Tensor) -> float:
            """Song et al. 2012, equation 5, of two Gram matrices with empty diagonals."""
            n = len(one)
            trace = (one * other).sum()
            sums = one.sum() * other.sum() / ((n - 1) * (n - 2))
            return float(trace + sums - 2 * (one.sum(0) @ other.sum(0)) / (n - 2)) / (n * (n - 3))

        grams = []
        for values in heads:
            centred = (values - values.mean(0)).double()
            gram = centred @ centred.T
            grams.append(gram.fill_diagonal_(0))
        own = [hsic(gram, gram) for gram in grams]
        found = torch.ones(len(heads), len(heads), dtype=torch.float64)
        for i in range(len(heads)):
            for j in range(i):
                found[i, j] = found[j, i] = hsic(grams[i], grams[j]) / (own[i] * own[j]) ** 0.5
        return found

    def torch_pruning(self, batches: Batches) -> torch.Tensor:
        """Heads removed by Torch-Pruning's functions for linear layers, from a copy of the model;
        the smaller model's logits.
        """
        begun = time.perf_counter()
        return self._pruned(copy.deepcopy(self.fast), begun, batches)

    def torch_pruning_in_place(self, batches: Batches) -> torch.Tensor:
        """The same from a model that is given up for it, so nothing else has to be copied."""
        model = copy.deepcopy(self.fast)
        return self._pruned(model, time.perf_counter(), batches)

    def _pruned(self, model: Any, begun: float, batches: Batches) -> torch.Tensor:
        """The clock stops before the logits are computed."""
        import torch_pruning

        size = model.config.hidden_size // model.config.num_attention_heads
        for number, layer in enumerate(model.bert.encoder.layer):
            gone = self.removed[number].repeat_interleave(size).nonzero()[:, 0].tolist()
            attention = layer.attention.self
            for part in (attention.query, attention.key, attention.value):
                torch_pruning.prune_linear_out_channels(part, gone)
            torch_pruning.prune_linear_in_channels(layer.attention.output.dense, gone)
            attention.num_attention_heads -= int(self.removed[number].sum())
            attention.all_head_size = attention.num_attention_heads * size
        self.removal = time.perf_counter() - begun
        with torch.inference_mode():
            return model(**{name: batches[0][name] for name in ("input_ids", "attention_mask")})[0]

    def jobs(self) -> dict[str, tuple[Callable[[Batches], torch.Tensor], Batches]]:
        """Every job with its batches."""
        single, many, few = self.batches(1), self.batches(32), self.batches(32, self.few)
        return {
            "run_bertology, batches of 1": (self.bertology, single),
            "run_bertology, batches of 32": (self.bertology, many),
            "TextPruner, batches of 1": (self.textpruner, single),
            "TextPruner, batches of 32": (self.textpruner, many),
            "one forward a head": (self.one_forward_per_head, many),
            "pairwise CKA": (self.pairwise_cka, few),
            "Torch-Pruning": (self.torch_pruning, self.batches(len(self.ids))),
            "Torch-Pruning in place": (self.torch_pruning_in_place, self.batches(len(self.ids))),
        }


def main() -> None:
    model, inputs, threads, folder = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # what the peers print themselves is no answer
    torch.set_num_threads(int(threads))
    transformers.logging.set_verbosity_error()
    peers = Peers(model, inputs)
    jobs = peers.jobs()

    def answer(**said: Any) -> None:
        print(json.dumps(said), file=answers, flush=True)

    answer(versions={"torch": torch.__version__, "transformers": transformers.__version__})
    for line in sys.stdin:
        job, batches = jobs[line.strip()]
        begun = time.perf_counter()
        found = job(batches)
        taken = time.perf_counter() - begun
        if job in (peers.torch_pruning, peers.torch_pruning_in_place):
            taken = peers.removal
        file = Path(folder) / "found.npy"
        np.save(file, found.detach().numpy())
        answer(seconds=taken, file=str(file))


if __name__ == "__main__":
    main()
