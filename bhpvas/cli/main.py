"""The same work as in the app, without a screen.

Heavy imports stand inside the commands, so that ``--help`` and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhpvas.errors import BhpvasError, SchemeError
from bhpvas.model.memory import said
from bhpvas.storage.files import no_room

if TYPE_CHECKING:
    import numpy as np

    from bhpvas.criteria import Scores
    from bhpvas.data.dataset import Dataset
    from bhpvas.evaluation.ablation import Ablation
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.heads import HeadMask
    from bhpvas.interpret.roles import Roles
    from bhpvas.model.classifier import Classifier
    from bhpvas.recovery import Recovered
    from bhpvas.recovery.finetuning import FineTuned
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.storage.results import Results

# The help of a command shows its own.
_EXAMPLES = """examples:
  bhpvas app
  bhpvas info --model ./my-bert
  bhpvas score --criteria importance,similarity --json > scores.json
  bhpvas score --model owner/model --data reviews.csv --remove L0H3,L5H11
  bhpvas ablate --data reviews.csv
  bhpvas evaluate --remove L0H3,L5H11
  bhpvas roles --min-count 50
  bhpvas propose --heads 36 --protect L0H3 --out scheme.json
  bhpvas propose --heads 60 --max-drop 0.01 --calibration train.tsv --out scheme.json
  bhpvas recover --scheme scheme.json --method compensate --out recovered.json
  bhpvas recover --scheme recovered.json --method finetune --calibration train.tsv --out tuned.json
  bhpvas evaluate --model ./my-bert --data reviews.csv --scheme scheme.json --json
  bhpvas compare scheme.json recovered.json --random 20 --out table.csv
  bhpvas export --scheme recovered.json --format transformers --out ./smaller-bert
  bhpvas export --scheme recovered.json --format onnx --int8 --data test.tsv --out ./graph
  bhpvas report --scheme recovered.json --out report.html
  accelerate launch --multi_gpu --num_processes 4 -m bhpvas score --data train.parquet --json
"""


# Settings of fine-tuning by their names in bhpvas.recovery.finetuning.Settings.
_TUNING: dict[str, tuple[type, str]] = {
    "epochs": (float, "how often the sentences are gone through (default: 1)"),
    "learning_rate": (float, "its highest value (default: 0.00005)"),
    "batch_size": (int, "sentences in a step (default: 32)"),
    "distillation": (
        float,
        "weight of the unpruned model's answers in the loss; 0 = labels alone (default: 0.5)",
    ),
    "temperature": (float, "by which those answers are softened (default: 2)"),
    "warmup": (float, "share of the steps in which the learning rate rises (default: 0.06)"),
    "weight_decay": (float, "of AdamW (default: 0.01)"),
    "embeddings": (bool, "train the embeddings, too (default: they stay as they are)"),
    "evaluations": (int, "how often the held-out sentences are measured (default: 20)"),
}


# What every generator of random numbers takes.
_LARGEST_SEED = 2**32 - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 interrupted or failed, 2 bad input."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # one of few characters, as on Windows
        sys.stdout.reconfigure(errors="replace")
    given = _parser().parse_args(words)
    given.line = shlex.join(["bhpvas", *(word for word in words if word != "--json")])
    try:
        with ExitStack() as given.opened:
            if not 0 <= getattr(given, "seed", 0) <= _LARGEST_SEED:
                raise BhpvasError(
                    f"--seed {given.seed} is no seed: give a whole number from 0 to "
                    f"{_LARGEST_SEED}."
                )
            _join_others(given)
            if hasattr(given, "cache"):
                given.kept = _kept(given)
            given.run(given)
    except KeyboardInterrupt:
        print("bhpvas: interrupted; nothing was written.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has closed it, as `head` does; nothing is left to say.
        sys.stderr.close()
        return 1
    except Exception as error:
        told = error if isinstance(error, BhpvasError) else said(error) or no_room(error)
        if told is None:
            raise
        if _is_first():
            print(f"bhpvas: {told}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bhpvas",
        description="See what every attention head of a BERT classifier does, and remove the ones "
        "it can do without.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        """A command whose help is the first line of its function's docstring, and its examples."""
        first = (run.__doc__ or "").split("\n")[0].rstrip(".")
        title, *lines = _EXAMPLES.splitlines()
        own = [line for line in lines if line.split()[1] == name]
        added = commands.add_parser(
            name,
            help=first,
            description=first,
            epilog="\n".join([title, *own]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    app = command("app", _app)
    app.add_argument("--port", type=int, default=8501, help="port of the web page (default: 8501)")
    app.add_argument(
        "--address",
        help="where to listen, such as 0.0.0.0 = every network of this computer (default: this "
        "computer alone; every network where BHPVAS_HOSTED is set)",
    )
    app.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    _add_cache(app)

    info = command("info", _info)
    _add_model(info, weights=False)

    score = command("score", _score)
    _add_model(score, passes=True)
    _add_cache(score)
    _add_data(score, "calibration")
    _add_removed(score)
    score.add_argument(
        "--criteria",
        metavar="NAMES",
        default="importance,stability,similarity",
        help="comma-separated criteria, or 'all' (default: importance,stability,similarity)",
    )

    ablate = command("ablate", _ablate)
    _add_model(ablate, passes=True)
    _add_cache(ablate)
    _add_data(ablate, "calibration")
    _add_removed(ablate)

    evaluate = command("evaluate", _evaluate)
    _add_model(evaluate, passes=True)
    _add_cache(evaluate)
    _add_data(evaluate, "evaluation")
    which = evaluate.add_mutually_exclusive_group()
    _add_removed(which)
    which.add_argument("--scheme", metavar="S", help="evaluate the current step of a scheme file")

    roles = command("roles", _roles)
    _add_model(roles)
    _add_cache(roles)
    _add_data(roles, "calibration")
    roles.add_argument(
        "--min-count",
        metavar="N",
        type=int,
        default=100,
        help="dependents that a relation needs to be judged (default: 100)",
    )

    propose = command("propose", _propose)
    _add_model(propose)
    _add_calibration(propose)
    propose.add_argument(
        "--method",
        metavar="NAME",
        # Named here, since the registry would import torch.
        help="random, importance, fisher, combined, iterative, redundancy, mask-search, "
        "reconstruction, shares (default), greedy, layers, or any criterion",
    )
    propose.add_argument(
        "--heads", metavar="K", type=int, required=True, help="how many heads to remove"
    )
    propose.add_argument(
        "--max-drop",
        metavar="X",
        type=float,
        help="remove fewer, as many as keep the accuracy on the calibration sentences within X "
        "(0.01 = one point)",
    )
    propose.add_argument(
        "--protect", metavar="HEADS", default="", help="heads that must stay, such as L0H3,L5H11"
    )
    propose.add_argument(
        "--min-per-layer", metavar="N", type=int, default=0, help="heads that every layer keeps"
    )
    _add_out(propose, "scheme file to write")

    recover = command("recover", _recover)
    _add_model(recover)
    _add_calibration(recover)
    recover.add_argument("--scheme", metavar="S", required=True, help="scheme file to start from")
    recover.add_argument(
        "--method",
        metavar="NAME",
        default="compensate",
        help="compensate (default), thorough, rescale or finetune",
    )
    tuning = recover.add_argument_group("with --method finetune")
    for name, (kind, text) in _TUNING.items():
        how: dict[str, Any] = {"metavar": "X", "type": kind}
        if kind is bool:
            how = {"action": "store_true", "default": None}
        tuning.add_argument(f"--{name.replace('_', '-')}", help=text, **how)
    _add_out(recover, "scheme file to write; changed weights are written beside it, or into a .zip")

    compare = command("compare", _compare)
    _add_model(compare, passes=True)
    _add_data(compare, "evaluation")
    compare.add_argument("schemes", metavar="S", nargs="+", help="scheme files")
    compare.add_argument(
        "--random",
        metavar="N",
        type=int,
        default=20,
        help="random masks to set beside each number of removed heads (default: 20; 0 = none)",
    )
    compare.add_argument("--seed", type=int, default=0, help="of the random masks (default: 0)")
    _add_out(compare, "table to write, as CSV")

    export = command("export", _export)
    _add_model(export)
    _add_data(export, "evaluation")
    export.add_argument("--scheme", metavar="S", required=True, help="scheme file")
    export.add_argument(
        "--format",
        metavar="F",
        required=True,
        help="transformers (a smaller folder), onnx (for ONNX Runtime) or dense (zeros, as large)",
    )
    export.add_argument(
        "--int8", action="store_true", help="with onnx: add a quantised graph, measured by itself"
    )
    export.add_argument(
        "--out", metavar="FOLDER", required=True, help="folder to write; must not exist yet"
    )

    report = command("report", _report)
    _add_model(report)
    _add_data(report, "evaluation")
    _add_calibration(report, alone=False)
    report.add_argument("--scheme", metavar="S", required=True, help="scheme file")
    report.add_argument(
        "--random",
        metavar="N",
        type=int,
        default=20,
        help="random orders to set beside the scheme (default: 20; 0 = none)",
    )
    report.add_argument(
        "--ablate", action="store_true", help="remove each head alone, too, and measure"
    )
    report.add_argument(
        "--latency",
        metavar="TOKENS",
        type=int,
        help="also time a pass, on sentences of so many tokens",
    )
    _add_out(report, "page to write, as HTML")
    return parser


def _add_model(
    parser: argparse.ArgumentParser, *, weights: bool = True, passes: bool = False
) -> None:
    """The model and where it runs; ``passes``: the command does nothing but passes over sentences,
    which several processes can share, and which bfloat16 is exact enough for."""
    parser.add_argument(
        "--model",
        metavar="M",
        help="folder or hub id, also as id@revision (default: the sample model)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(passes=passes)
    if weights:
        parser.add_argument(
            "--device",
            default="auto",
            help="cpu, cuda or mps (default: cuda where there is one, else cpu)",
        )
        usual = "mixed on cuda, else float32" if passes else "float32"
        parser.add_argument(
            "--dtype",
            default="auto" if passes else "float32",
            help=f"float32, bfloat16, or mixed: float32 weights multiplied in bfloat16 (default: "
            f"{usual})",
        )


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="compute everything anew and keep nothing on disk",
    )


def _add_data(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--data",
        metavar="D",
        help=f"file, used whole, or hub id such as glue/sst2, of which the {default} split is used "
        f"(default: the sample sentences' {default} split)",
    )
    parser.set_defaults(split=default)
    _add_columns(parser)


def _add_calibration(parser: argparse.ArgumentParser, *, alone: bool = True) -> None:
    """The sentences to learn from: as the only ones that a command reads, or beside others."""
    parser.add_argument(
        "--calibration",
        metavar="D",
        dest="data" if alone else "calibration",
        help="file, used whole, or hub id, of which the calibration split is used, to learn from "
        "(default: the sample sentences' calibration split)",
    )
    parser.add_argument(
        "--sentences",
        metavar="N",
        type=int,
        help="draw at most N sentences, each label in its proportion and, where there are enough, "
        "none that is part of another (default: 2048; fine-tuning uses all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    if alone:
        parser.set_defaults(split="calibration")
        _add_columns(parser)


def _add_out(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--out", metavar="FILE", required=True, help=what)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    for part in ("text", "pair", "label", "tag"):
        parser.add_argument(
            f"--{part}", metavar="COLUMN", help=f"column of the {part}, if not found by its name"
        )


def _add_removed(parser: Any) -> None:
    parser.add_argument(
        "--remove", metavar="HEADS", default="", help="heads to remove, such as L0H3,L5H11"
    )


# --- commands -------------------------------------------------------------------------------------


def _app(given: argparse.Namespace) -> None:
    """Open the workbench in the browser."""
    from bhpvas.storage.paths import app_script
    from bhpvas.ui.state import limits

    if not 1 <= given.port <= 65535:
        raise BhpvasError(f"--port {given.port} is no port: choose one from 1 to 65535.")
    address = given.address
    if address is not None:
        _check_address(address)
    if not (address or limits.current().hosted or "STREAMLIT_SERVER_ADDRESS" in os.environ):
        address = "localhost"
    command = [sys.executable, "-m", "bhpvas.ui.server", "run", str(app_script())]
    command += ["--server.port", str(given.port), "--browser.gatherUsageStats", "false"]
    command += ["--server.headless", "true" if given.no_browser else "false"]
    command += ["--server.address", address] if address else []
    # From the app's own folder, where its theme and settings lie.
    environment = os.environ | ({} if given.cache else {"BHPVAS_CACHE": "off"})
    code = subprocess.call(command, cwd=app_script().parent, env=environment)
    if code not in (0, -2, 130):
        raise SystemExit(1)


def _check_address(address: str) -> None:
    """Refuse an address that this computer cannot listen at."""
    import socket

    try:
        family, kind, _, _, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listening:
            listening.bind(place)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BhpvasError(
            f"--address {address} is no address of this computer ({why}): leave it out, or give "
            "one of its own, such as 0.0.0.0."
        ) from None


def _info(given: argparse.Namespace) -> None:
    """Say how large a model is and which labels it knows, without loading its weights."""
    from dataclasses import asdict

    from bhpvas.model.files import read_info

    info = read_info(given.model)
    geometry = asdict(info.geometry)
    document = {
        "model": info.name,
        **{name: geometry[name] for name in ("layers", "heads", "hidden_size", "head_size")},
        "parameters": info.geometry.parameters,
        "head_parameters": info.geometry.head_parameters,
        "max_length": info.geometry.max_length,
        "labels": list(info.label_names),
    }
    _print(given, document, "\n".join(f"{name:16} {_plain(document[name])}" for name in document))


def _score(given: argparse.Namespace) -> None:
    """Score every head by one or more criteria."""
    from bhpvas.criteria import CRITERIA, score
    from bhpvas.criteria.base import MOST_KEPT
    from bhpvas.model.result_key import result_key

    names = (
        list(CRITERIA)
        if given.criteria == "all"
        else [name.strip() for name in given.criteria.split(",") if name.strip()]
    )
    unknown = [name for name in names if name not in CRITERIA]
    if unknown or not names:
        raise BhpvasError(
            f"{(unknown or [given.criteria])[0]!r} is no criterion; choose from "
            f"{', '.join(CRITERIA)}."
        )
    classifier, dataset = _load(given)
    mask = _mask(given, classifier)

    def make() -> Scores:
        with _bar("scoring") as progress:
            return score(classifier, dataset, names, mask=mask, progress=progress)

    name = result_key("scores", classifier, dataset, mask, names=tuple(names), keep=MOST_KEPT)
    scores = given.kept.recall(name, make)
    document: dict[str, Any] = {
        "layers": classifier.geometry.layers,
        "heads": classifier.geometry.heads,
        "sentences": scores.sentences,
        "data": scores.dataset,
        "model": _model_of(classifier),
        "removed_heads": _removed(scores.mask),
        "criteria": {
            name: {
                "values": _numbers(scores.values[name]),
                "higher_means": CRITERIA[name].higher_means,
            }
            for name in names
        },
    }
    matrices = scores.similarity_matrix
    if matrices:
        # The first criterion asked for that compares heads; `similarity` by default.
        first = next(name for name in names if name in matrices)
        document["similarity_matrix"] = _numbers(matrices[first])
    if scores.similarity_unit is not None:
        document["similarity_unit"] = scores.similarity_unit
    tables = [
        f"{CRITERIA[name].title} (higher = {CRITERIA[name].higher_means}), "
        f"{scores.sentences} sentences of {scores.dataset}\n{_grid(scores.values[name])}"
        for name in names
    ]
    _print(given, document, "\n\n".join(tables))


def _ablate(given: argparse.Namespace) -> None:
    """Remove each head alone and measure what it costs, exactly."""
    from bhpvas.evaluation.ablation import ablate
    from bhpvas.model.result_key import result_key

    classifier, dataset = _load(given)
    mask = _mask(given, classifier)

    def make() -> Ablation:
        with _bar("ablating") as progress:
            return ablate(classifier, dataset, mask, progress=progress)

    found = given.kept.recall(result_key("ablation", classifier, dataset, mask), make)
    document = {
        "loss_change": _numbers(found.loss_change),
        "accuracy_change": _numbers(found.accuracy_change),
        "baseline": found.baseline.metrics(),
        "removed_heads": _removed(found.baseline.mask),
        "model": _model_of(classifier),
    }
    text = (
        f"Change of the loss when one more head goes (base {found.baseline.loss:.4f}, "
        f"{found.baseline.n} sentences of {found.baseline.dataset})\n{_grid(found.loss_change)}"
        f"\n\nChange of accuracy in points (base {100 * found.baseline.accuracy:.1f})\n"
        f"{_grid(100 * found.accuracy_change, '+.1f')}"
    )
    _print(given, document, text)


def _evaluate(given: argparse.Namespace) -> None:
    """Measure a mask: accuracy with interval, loss, F1, flips, parameters and FLOPs."""
    from bhpvas.evaluation.evaluation import accuracy_change_interval, evaluate
    from bhpvas.model.cost import flops_per_sentence, parameters
    from bhpvas.model.engine import StateCache
    from bhpvas.model.result_key import result_key

    opened = None if given.scheme is None else _open_scheme(given, given.scheme)
    classifier, dataset = _load(given)
    changed, mask = classifier, _mask(given, classifier)
    if opened is not None:
        scheme, folder = opened
        changed, mask = scheme.on(classifier, folder), scheme.mask
    cache = StateCache()

    def measured(what: str, one: Classifier, mask: HeadMask) -> Evaluation:
        def make() -> Evaluation:
            with _bar(f"evaluating {what}") as progress:
                return evaluate(one, dataset, mask, cache=cache, progress=progress)

        return given.kept.recall(result_key("evaluation", one, dataset, mask), make)

    unpruned = measured("the unpruned model", classifier, classifier.full_mask())
    found = measured("the mask", changed, mask)
    encoded = classifier.encode(dataset)
    document = found.summary(unpruned) | {
        "parameters": parameters(classifier.geometry, mask),
        "flops_per_sentence": flops_per_sentence(classifier.geometry, mask, encoded.lengths),
        "truncated_sentences": encoded.truncated,
        "model": _model_of(classifier),
    }
    low, high = found.accuracy_interval
    lines = [
        f"{found.n} sentences of {found.dataset}, {mask.kept_count} of "
        f"{mask.layers * mask.heads} heads kept",
        f"accuracy    {100 * found.accuracy:.1f}% (95% interval {100 * low:.1f} to "
        f"{100 * high:.1f})",
        f"loss        {found.loss:.4f}",
        f"F1          {found.f1:.4f}",
        f"parameters  {document['parameters']:,}",
        f"FLOPs       {document['flops_per_sentence'] / 1e6:,.1f} million a sentence",
    ]
    if mask.masked:
        change = accuracy_change_interval(unpruned, found)
        lines.insert(
            2,
            f"change      {100 * change.change:+.1f} points against all heads (95% interval "
            f"{100 * change.low:+.1f} to {100 * change.high:+.1f}), "
            f"{len(document['flipped'])} predictions flipped",
        )
    _print(given, document, "\n".join(lines).replace("-", "−"))


def _roles(given: argparse.Namespace) -> None:
    """Say what every head attends to: position, delimiters, rare tokens, syntax, everything."""
    from bhpvas.heads import HeadId
    from bhpvas.interpret.align import sentences_of
    from bhpvas.interpret.parse import parse_dataset
    from bhpvas.interpret.roles import DIRECTIONS, RoleSettings, find_roles
    from bhpvas.model.result_key import result_key

    settings = RoleSettings(min_count=given.min_count)
    classifier, dataset = _load(given)

    def make() -> Roles:
        with _bar("parsing") as progress:
            sentences = sentences_of(classifier, dataset, parse_dataset(dataset, progress=progress))
        with _bar("reading attention") as progress:
            return find_roles(
                classifier,
                dataset,
                sentences=sentences,
                settings=settings,
                keep_predictions=False,
                progress=progress,
            )

    name = result_key("roles", classifier, dataset, classifier.full_mask(), settings=settings)
    found = given.kept.recall(name, make)
    document = {
        "layers": classifier.geometry.layers,
        "heads": classifier.geometry.heads,
        "sentences": found.sentences,
        "data": found.dataset,
        "model": _model_of(classifier),
        "min_count": settings.min_count,
        "relations": {
            name: {
                "accuracy": _numbers(one.accuracy),
                "direction": [[DIRECTIONS[way] for way in row] for row in one.direction.tolist()],
                "baseline": one.baseline,
                "offset": one.offset,
                "count": one.count,
                "judged": one.judged,
            }
            for name, one in found.relations.items()
        },
        "roles": {
            str(head): {
                "label": found.label(head),
                "evidence": [one.to_dict() for one in found.evidence[head]],
            }
            for head in found.mask
        },
    }
    lines = [
        f"{found.sentences} sentences of {found.dataset}; relations with {settings.min_count} "
        f"dependents or more",
        f"{'relation':12}{'count':>7}{'baseline':>10}{'offset':>8}{'best head':>11}"
        f"{'accuracy':>10}",
    ]
    for one in found.relations.values():
        if one.judged:
            best = HeadId(*divmod(int(one.accuracy.argmax()), found.mask.heads))
            accuracy = one.accuracy[best.layer, best.head]
            lines.append(
                f"{one.name:12}{one.count:>7}{100 * one.baseline:>9.1f}%{one.offset:>+8}"
                f"{best!s:>11}{100 * accuracy:>9.1f}%  "
                f"{DIRECTIONS[one.direction[best.layer, best.head]]}"
            )
    lines.append("")
    for label, heads in found.carriers().items():
        lines.append(f"{label:24}{', '.join(map(str, heads))}")
    without = [str(head) for head in found.mask if not found.evidence[head]]
    lines.append(f"{'no role':24}{', '.join(without) or '–'}")
    _print(given, document, "\n".join(lines))


def _propose(given: argparse.Namespace) -> None:
    """Choose heads to remove, with a reason for each, and write a scheme."""
    from bhpvas.heads import parse_heads
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.search import DEFAULT_METHOD, Constraints, method_named, propose

    method = method_named(given.method or DEFAULT_METHOD).name
    if given.max_drop is not None and not 0 <= given.max_drop <= 1:
        raise BhpvasError(
            f"--max-drop {given.max_drop:g} is no share of 1: write 0.01 for one point."
        )
    if given.min_per_layer < 0:
        raise BhpvasError(
            f"--min-per-layer {given.min_per_layer} is no number of heads: give 0 or more."
        )
    _check_out("The scheme", given.out)
    classifier, dataset = _load_calibration(given)
    _mask_of(classifier, given.protect)  # so that a head that does not exist is named
    constraints = Constraints(frozenset(parse_heads(given.protect)), given.min_per_layer)
    with _bar(f"searching by {method}") as progress:
        found = propose(
            classifier,
            dataset,
            method,
            heads=given.heads,
            constraints=constraints,
            max_drop=given.max_drop,
            seed=given.seed,
            progress=progress,
        )
    scheme = Scheme.of(classifier, name=Path(given.out).stem)
    if found.heads:
        scheme = scheme.removing(found.heads, method, found.record(), seed=given.seed)
    scheme.save(given.out)
    document = found.record() | {
        "method": method,
        "seed": given.seed,
        "removed_heads": _removed(found.mask),
        "scheme": str(given.out),
        "model": _model_of(classifier),
    }
    lines = [f"{removal.head!s:8} {removal.reason}" for removal in found.removals]
    lines.append(
        f"{len(found.heads)} of {found.mask.layers * found.mask.heads} heads removed by {method}, "
        f"learnt from {found.sentences} sentences of {found.calibration}; written to {given.out}"
    )
    _print(given, document, "\n".join(lines))


def _recover(given: argparse.Namespace) -> None:
    """Win back accuracy: refit what the kept heads write, or train on."""
    from bhpvas.recovery import RECOVERY_NAMES

    if given.method not in RECOVERY_NAMES:
        raise BhpvasError(
            f"{given.method!r} is no recovery; choose from {', '.join(RECOVERY_NAMES)}."
        )
    tuned = next((name for name in _TUNING if getattr(given, name) is not None), None)
    if tuned is not None and given.method != "finetune":
        raise BhpvasError(
            f"--{tuned.replace('_', '-')} is a setting of fine-tuning: add --method finetune, or "
            "leave it out."
        )
    _check_out("The scheme", given.out)
    scheme, folder = _open_scheme(given, given.scheme)
    recovering = _finetune if given.method == "finetune" else _refit
    found, lines, stopped = recovering(given, scheme, folder)
    written = _save_recovered(scheme, folder, found, given)
    document = found.record() | {
        "method": given.method,
        "seed": given.seed,
        "removed_heads": _removed(scheme.mask),
        "scheme": str(given.out),
        "weights": str(written),
        "model": scheme.model,
    }
    _print(given, document, "\n".join([*lines, f"Scheme {given.out}, weights {written}"]))
    if stopped:
        raise SystemExit(1)


def _refit(
    given: argparse.Namespace, scheme: Scheme, folder: Path
) -> tuple[Recovered, list[str], bool]:
    """A recovery in closed form."""
    from bhpvas.recovery import recover

    classifier, dataset = _load_calibration(given)
    scheme.matches(classifier)
    with _bar("recovering") as progress:
        found = recover(
            classifier, dataset, scheme.mask, given.method, seed=given.seed, progress=progress
        )
    lines = [
        f"layer {one.layer:<3} error {one.error_before:8.4f} → {one.error_after:.4f}"
        for one in found.layers
    ]
    lines.append(
        "Errors are shares of the variance of what the layer should say, on held-out calibration "
        f"sentences ({found.sentences} of {found.calibration})."
    )
    return found, lines, False


def _finetune(
    given: argparse.Namespace, scheme: Scheme, folder: Path
) -> tuple[FineTuned, list[str], bool]:
    """A training; the first Ctrl-C ends it with the best so far, a second one with nothing."""
    from bhpvas.progress import Cancelled
    from bhpvas.recovery.finetuning import Course, TuningSettings, finetune

    chosen = {name: getattr(given, name) for name in _TUNING if getattr(given, name) is not None}
    settings = TuningSettings(**chosen, seed=given.seed).check()
    classifier, dataset = _load_calibration(given, most=None)
    changed = scheme.on(classifier, folder)
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, before)

    def step(done: int, total: int) -> None:
        bar(done, total)
        if interrupted:
            raise Cancelled

    def say(course: Course) -> None:
        bar.say(f"step {course.points[-1].step} of {course.steps}: {course.points[-1]}")

    with _bar("fine-tuning") as bar:
        before = signal.signal(signal.SIGINT, interrupt)
        try:
            found = finetune(changed, dataset, scheme.mask, settings, watch=say, progress=step)
        except Cancelled:
            raise KeyboardInterrupt from None
        finally:
            signal.signal(signal.SIGINT, before)
    if found.stopped_at is not None:
        print(
            f"bhpvas: interrupted at step {found.stopped_at} of {found.course.steps}; the best "
            "state so far is kept.",
            file=sys.stderr,
        )
    lines = [
        f"{'start':10} {found.course.start}",
        f"{f'step {found.best.step}':10} {found.best}",
        f"Measured on {found.course.held_out} held-out sentences of the {found.sentences} of "
        f"{found.calibration}.",
    ]
    return found, lines, found.stopped_at is not None


def _compare(given: argparse.Namespace) -> None:
    """Measure schemes side by side, with random masks of the same size, and write a table."""
    from bhpvas.data.tables import csv_text
    from bhpvas.evaluation.comparison import compare
    from bhpvas.storage.files import not_written, write_beside

    if given.random < 0:
        raise BhpvasError(f"--random {given.random} is no number of masks: give 0 or more.")
    _check_out("The table", given.out)
    schemes = {path: _open_scheme(given, path) for path in given.schemes}
    classifier, dataset = _load(given)
    with _bar("comparing") as progress:
        table = compare(
            classifier,
            dataset,
            {
                path: (scheme.on(classifier, folder), scheme.mask)
                for path, (scheme, folder) in schemes.items()
            },
            random=given.random,
            seed=given.seed,
            progress=progress,
        )
    try:
        if _is_first():
            write_beside(given.out, csv_text(table).encode("utf-8"))
    except OSError as error:
        raise BhpvasError(not_written("The table", given.out, error)) from None
    document = {
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
        "data": dataset.name,
        "table": str(given.out),
        "model": _model_of(classifier),
    }
    _print(given, document, table.to_string(index=False, float_format=lambda x: f"{x:.4f}"))


def _export(given: argparse.Namespace) -> None:
    """Write the pruned model as files that work elsewhere, read back and measured."""
    from bhpvas.export import check_folder, export_model, format_named

    format_named(given.format)
    check_folder(given.out)
    scheme, folder = _open_scheme(given, given.scheme)
    classifier, dataset = _load(given)
    with _bar("exporting") as progress:
        found = export_model(
            classifier,
            scheme,
            given.out,
            given.format,
            dataset=dataset,
            weights=folder,
            int8=given.int8,
            data=given.data,
            progress=progress,
        )
    document = found.record() | {"model": _model_of(classifier)}
    lines = [f"{name:34}{size / 1e6:>10.2f} MB" for name, size in found.files.items()]
    for name, one in (("before", found.before), ("after", found.after), ("int8", found.int8)):
        if one is not None:
            low, high = one.accuracy_interval
            lines.append(
                f"accuracy {name:8} {100 * one.accuracy:5.1f}% (95% interval {100 * low:.1f} to "
                f"{100 * high:.1f}, {one.n} sentences of {one.dataset})"
            )
    lines.append(
        f"Read back: logits differ from the masked model's by {found.difference:.1g} at most; "
        f"written to {given.out}"
    )
    _print(given, document, "\n".join(lines))


def _report(given: argparse.Namespace) -> None:
    """Write everything about a scheme as one HTML page that needs no network."""
    from bhpvas.report import check_writable, write_report

    _check_sentences(given)
    check_writable(given.out)
    tokens = given.latency
    if tokens is not None and tokens < 1:
        raise BhpvasError(f"--latency {tokens} is no length of a sentence: give 1 or more tokens.")
    scheme, folder = _open_scheme(given, given.scheme)
    classifier, evaluation = _load(given)
    if tokens is not None and tokens > classifier.geometry.max_length:
        raise BhpvasError(
            f"--latency {tokens} cannot be timed: the model reads at most "
            f"{classifier.geometry.max_length} tokens."
        )
    calibration = _sampled(_dataset(given, given.calibration, "calibration"), given)
    with _bar("reporting") as progress:
        report = write_report(
            classifier,
            scheme,
            given.out,
            calibration=calibration,
            evaluation=evaluation,
            weights=folder,
            random=given.random,
            ablation=given.ablate,
            tokens=tokens,
            seed=given.seed,
            command=given.line,
            progress=progress,
        )
    document = report.record() | {"report": str(given.out), "model": _model_of(classifier)}
    _print(given, document, "\n".join([*document["summary"], f"Written to {given.out}"]))


# --- what the commands share ----------------------------------------------------------------------


def _join_others(given: argparse.Namespace) -> None:
    """Share the passes over sentences with the processes that `accelerate launch` has started."""
    if _processes() == 1:
        return
    if not given.passes:
        raise BhpvasError(
            "Only score, ablate, evaluate and compare work in several processes: start this "
            "command without accelerate launch."
        )
    from bhpvas.model.distributed import together

    if os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true":
        given.device = "cpu"
    given.opened.enter_context(together(cpu=given.device == "cpu"))


def _kept(given: argparse.Namespace) -> Results:
    """The results on disk; none where several processes would have to find the same ones."""
    from bhpvas.storage.results import Results, kept_results

    return kept_results() if given.cache and _processes() == 1 else Results(None)


def _processes() -> int:
    """How many processes `accelerate launch` or torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return os.environ.get("RANK", "0") == "0"


def _load(given: argparse.Namespace) -> tuple[Classifier, Dataset]:
    """The classifier, and the data in the numbering of its labels."""
    return _with_classifier(given, _dataset(given, given.data, given.split))


def _with_classifier(given: argparse.Namespace, dataset: Dataset) -> tuple[Classifier, Dataset]:
    from bhpvas.model.classifier import load_classifier

    classifier = load_classifier(given.model, device=given.device, dtype=given.dtype)
    return classifier, dataset.aligned(classifier.label_names)


def _dataset(given: argparse.Namespace, source: str | None, split: str) -> Dataset:
    """All sentences of a file, or a split of a hub id or of the sample sentences."""
    from bhpvas.data.reading import is_hub_id, read_dataset, read_splits, sample_splits
    from bhpvas.data.sampling import SENTENCES

    if source is None or source == "sample":
        return getattr(sample_splits(), split)
    columns = {part: getattr(given, part) for part in ("text", "pair", "label", "tag")}
    if split == "evaluation" or not is_hub_id(source):
        return read_dataset(source, **columns)
    # A command that draws sentences itself is given all that there are to learn from. The split of
    # a source in one part has no seed here: other commands measure on what it leaves.
    most = None if hasattr(given, "sentences") else SENTENCES
    return read_splits(source, **columns, sentences=most).calibration


def _load_calibration(
    given: argparse.Namespace, most: int | None = 2048
) -> tuple[Classifier, Dataset]:
    """As :func:`_load`; of more sentences than asked for (else ``most``), some are drawn."""
    _check_sentences(given)
    dataset = _sampled(_dataset(given, given.data, given.split), given, most)
    return _with_classifier(given, dataset)


def _check_sentences(given: argparse.Namespace) -> None:
    if given.sentences is not None and given.sentences < 2:
        raise BhpvasError(f"--sentences {given.sentences} is too few: 2 are the least.")


def _sampled(dataset: Dataset, given: argparse.Namespace, most: int | None = 2048) -> Dataset:
    """Of more sentences than asked for (else ``most``), some."""
    from bhpvas.data.sampling import calibration_sample

    most = most if given.sentences is None else given.sentences
    if most is None or len(dataset) <= most:
        return dataset
    return calibration_sample(dataset, most, given.seed)


def _open_scheme(given: argparse.Namespace, path: str) -> tuple[Scheme, Path]:
    """A scheme and the folder of its weights; a zip is unpacked for as long as the command runs."""
    from bhpvas.model.weights import weights_file
    from bhpvas.scheme.bundle import read_scheme_file
    from bhpvas.scheme.scheme import load_scheme

    if zipfile.is_zipfile(path):
        file = read_scheme_file(Path(path).read_bytes(), path)
        scheme = file.scheme
        folder = Path(given.opened.enter_context(tempfile.TemporaryDirectory(prefix="bhpvas-")))
        for name, content in file.weights.items():
            weights_file(folder, name).write_bytes(content)
    else:
        scheme, folder = load_scheme(path), Path(path).parent
    _check_model(given, scheme)
    return scheme, folder


def _save_recovered(
    scheme: Scheme, folder: Path, found: Recovered | FineTuned, given: argparse.Namespace
) -> Path:
    """Write the recovered scheme, and its weights beside it or, if it is a zip, in it."""
    from bhpvas.scheme.bundle import SchemeFile, read_weights
    from bhpvas.storage.files import not_written, write_beside

    out = Path(given.out)
    recovered = scheme.recovered(
        found.weights.fingerprint, given.method, found.record(), seed=given.seed
    )
    if out.suffix.lower() != ".zip":
        scheme.copy_weights(folder, out.parent)
        written = found.weights.save(out.parent)
        recovered.save(out)
        return written
    with tempfile.TemporaryDirectory(prefix="bhpvas-") as beside:
        scheme.copy_weights(folder, beside)
        found.weights.save(beside)
        content = SchemeFile(recovered, read_weights(recovered, beside)).to_bytes()
    try:
        write_beside(out, content)
    except OSError as error:
        raise SchemeError(not_written("The scheme", out, error)) from None
    return out


def _check_out(what: str, path: str) -> None:
    """Refuse a file that could not be written, before the long work."""
    from bhpvas.storage.files import check_writable, not_written

    try:
        if _is_first():
            check_writable(path)
    except OSError as error:
        raise BhpvasError(not_written(what, Path(path), error)) from None


def _check_model(given: argparse.Namespace, scheme: Scheme) -> None:
    """Refuse the sample model where a scheme was made for one that was not named."""
    if given.model is None and scheme.model["id"] != "sample":
        raise SchemeError(
            f"The scheme was made for the model {scheme.model['id']}: name it with --model."
        )


def _mask(given: argparse.Namespace, classifier: Classifier) -> HeadMask:
    return _mask_of(classifier, given.remove)


def _mask_of(classifier: Classifier, heads: str) -> HeadMask:
    from bhpvas.heads import parse_heads

    return classifier.full_mask().without(parse_heads(heads))


def _model_of(classifier: Classifier) -> dict[str, str | None]:
    return {
        "id": classifier.source,
        "revision": classifier.revision,
        "fingerprint": classifier.fingerprint,
    }


def _removed(mask: HeadMask) -> list[str]:
    return [str(head) for head in sorted(mask.removed)]


class _bar:
    """A progress bar on stderr while it is a terminal; it is the callback itself."""

    def __init__(self, what: str) -> None:
        from tqdm import tqdm

        hidden = not (sys.stderr.isatty() and _is_first())
        self._bar = tqdm(desc=what, file=sys.stderr, disable=hidden, leave=False)

    def __enter__(self) -> _bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def say(self, line: str) -> None:
        """Print a line on stderr, above the bar where there is one."""
        self._bar.write(line, file=sys.stderr)


def _numbers(values: np.ndarray) -> list[Any]:
    """Nested lists fit for JSON: a number that is not there becomes null."""
    return [
        _numbers(row) if getattr(row, "ndim", 0) else (None if math.isnan(row) else float(row))
        for row in values
    ]


def _grid(values: np.ndarray, form: str = ".4f") -> str:
    """A head map as text, layers upward from 0."""
    rows = [
        f"L{layer:<3}"
        + " ".join(f"{'×' if math.isnan(value) else format(value, form):>8}" for value in row)
        for layer, row in reversed(list(enumerate(values)))
    ]
    heads = "    " + " ".join(f"{f'H{head}':>8}" for head in range(values.shape[1]))
    return "\n".join([*rows, heads])


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _print(given: argparse.Namespace, document: dict[str, Any], text: str) -> None:
    if _is_first():
        print(json.dumps(document, allow_nan=False) if given.json else text)


if __name__ == "__main__":
    sys.exit(main())
