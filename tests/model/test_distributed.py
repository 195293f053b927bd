"""Two processes give what one gives: the commands as `accelerate launch` starts them."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bhpvas.cli.main import main
from bhpvas.model import distributed
from bhpvas.model.classifier import load_classifier
from bhpvas.scheme.scheme import Scheme
from tests.browser.server import free_port
from tests.conftest import TEXTS
from tests.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[2]
REMOVED = "L0H1,L1H2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model, sentences for a handful of batches, and a scheme."""
    folder = tmp_path_factory.mktemp("processes")
    save_tiny(folder / "model")
    words = " ".join(TEXTS).split()
    draw = random.Random(0)
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 30))) for _ in range(300)]
    labels = ["positive", "negative"] * 150
    frame = pd.DataFrame({"sentence": texts, "label": labels})
    frame.to_parquet(folder / "data.parquet")
    frame[:6].to_json(folder / "few.jsonl", orient="records", lines=True)
    scheme = Scheme.of(load_classifier(folder / "model"))
    mask = load_classifier(folder / "model").full_mask()
    scheme.removing([next(iter(mask))], "by hand").save(folder / "scheme.json")
    return folder


def command(folder: Path, name: str, out: str, data: str = "data.parquet") -> list[str]:
    """A command on the tiny model that prints JSON."""
    options = {
        "score": ["--criteria", "all", "--units", "heads,neurons", "--remove", REMOVED],
        "ablate": ["--units", "heads,neurons", "--remove", REMOVED],
        "evaluate": ["--remove", REMOVED],
        "compare": [str(folder / "scheme.json"), "--random", "3", "--out", str(folder / out)],
    }[name]
    given = ["--model", str(folder / "model"), "--data", str(folder / data), "--device", "cpu"]
    return [name, *options, *given, "--json"]


def launched(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``accelerate launch`` with two processes."""
    # Without a graphics card this starts processes that talk over the CPU.
    start = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    start += ["--num_machines", "1", "--main_process_port", str(free_port())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *start, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def started(*arguments: str) -> None:
    """Run Python twice, as two processes of one group that no launcher stands over."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    both = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    for process in both:
        _, said = process.communicate()
        assert process.returncode == 0, said


def alone(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints where no others take part."""
    assert main(arguments) == 0
    return json.loads(capsys.readouterr().out)


def assert_equal(one, two, place: str = "") -> None:
    """Everything the same, numbers to a millionth, those of an inverted matrix to a hundredth."""
    assert type(one) is type(two), place
    if isinstance(one, dict):
        assert one.keys() == two.keys(), place
        for key in one:
            assert_equal(one[key], two[key], f"{place}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), place
        for index, pair in enumerate(zip(one, two, strict=True)):
            assert_equal(*pair, f"{place}/{index}")
    elif isinstance(one, float):
        close = 1e-2 if "/surgeon" in place else 1e-6
        assert math.isclose(one, two, rel_tol=close, abs_tol=1e-12), (place, one, two)
    else:
        assert one == two, place


COMMANDS = ["score", "ablate", "evaluate", "compare"]
# Two processes cannot be trusted to meet again at an address that they have just left, so each
# command has one of its own.
ALL_COMMANDS = """
import contextlib, io, json, os, sys
from pathlib import Path
from bhpvas.cli.main import main

for name, port, words in json.loads(sys.argv[1]):
    os.environ["MASTER_PORT"] = str(port)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(words)
    assert code == 0, name
    Path(sys.argv[2], f"{name}-{os.environ['RANK']}").write_text(said.getvalue())
"""


@pytest.fixture(scope="module")
def both(folder, tmp_path_factory):
    """The folder of what each of two processes printed, command by command."""
    said = tmp_path_factory.mktemp("said")
    script = said / "all_commands.py"
    script.write_text(ALL_COMMANDS)
    given = [(name, free_port(), command(folder, name, "table.csv")) for name in COMMANDS]
    started(str(script), json.dumps(given), str(said))
    (folder / "table.csv").rename(said / "table.csv")
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_two_processes_print_what_one_prints(folder, both, name, capsys):
    # One document: the second process prints nothing.
    assert (both / f"{name}-1").read_text() == ""
    found = alone(command(folder, name, "table.csv"), capsys)
    assert_equal(found, json.loads((both / f"{name}-0").read_text()))
    if name == "compare":
        tables = [pd.read_csv(place / "table.csv") for place in (folder, both)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-6)


@pytest.mark.slow
def test_a_process_without_a_batch_takes_part(folder, capsys):
    """Six sentences are one batch; started as whoever has several cards starts it."""
    arguments = command(folder, "score", "", "few.jsonl")
    both = launched("-m", "bhpvas", *arguments)
    assert both.returncode == 0, both.stderr
    assert_equal(alone(arguments, capsys), json.loads(both.stdout))


def test_nothing_of_the_group_outlives_it():
    """Threads of a group that something keeps could end the process while it goes down."""
    script = """
import weakref
import torch
from bhpvas.model.distributed import add_up, together

with together(cpu=True):
    import torch.distributed.nn  # as the modules do that a command imports on its way
    total = torch.ones(3)
    add_up(total)
    assert total.tolist() == [2, 2, 2]
    group = weakref.ref(torch.distributed.group.WORLD)
assert group() is None
"""
    started("-c", script)


def test_the_share_of_one_process_is_everything():
    assert distributed.share([1, 2, 3]) == [1, 2, 3]
    sums = np.arange(3.0)
    distributed.add_up(sums)
    assert sums.tolist() == [0, 1, 2]


def test_shares_are_disjoint_and_make_the_whole():
    items, found = list(range(11)), []
    for rank in range(3):
        before = distributed._group.set(distributed._Group(rank, 3))
        found += distributed.share(items)
        distributed._group.reset(before)
    assert sorted(found) == items


@pytest.mark.parametrize(
    "arguments", [["propose", "--heads", "3", "--out", "s.json"], ["info"], ["roles"]]
)
def test_other_commands_refuse_several_processes(monkeypatch, capsys, arguments):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, lines in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == lines
        assert rank == "1" or "start this command without accelerate launch" in said
