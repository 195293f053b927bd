"""Command line as a whole: help, examples, what every command refuses, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from bhpvas.cli import main as cli
from bhpvas.cli.main import main
from bhpvas.data.dataset import Splits
from bhpvas.data.reading import read_dataset
from bhpvas.heads import HeadId
from bhpvas.model.classifier import load_classifier
from bhpvas.recovery import RECOVERY_NAMES
from bhpvas.scheme.scheme import Scheme, load_scheme
from bhpvas.search import DEFAULT_METHOD, METHODS
from bhpvas.stats import RANDOM_ORDERS
from tests.cli.conftest import run

ROOT = Path(__file__).resolve().parents[2]


def test_text_for_people(capsys, files):
    common = ["--model", files[0], "--data", files[1], "--remove", "L0H1"]
    for command in (["info", "--model", files[0]], *([name, *common] for name in COMMANDS)):
        assert main(command) == 0
        assert len(capsys.readouterr().out.splitlines()) > 3


COMMANDS = ("score", "ablate", "evaluate")


BAD = {
    "a head that does not exist": (["--remove", "L7H0"], "L7H0 does not exist"),
    "text that names no head": (["--remove", "7"], "names no head"),
    "a file that does not exist": (["--data", "nowhere.tsv"], "nowhere.tsv"),
    "a column that does not exist": (["--text", "nonsense"], "nonsense"),
    "a model that does not exist": (["--model", "./nowhere"], "neither a folder nor a hub id"),
    "a device that is not there": (["--device", "tpu"], "'tpu' is not available"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(capsys, files, command, case):
    arguments, message = BAD[case]
    assert main([command, "--model", files[0], "--data", files[1], *arguments, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err and captured.err.count("\n") == 1


BAD_FILES = {
    "an empty file": (b"", "empty"),
    "only a header": (b"sentence\tlabel\n", "no"),
    "no text column": (b"a\tb\n1\t2\n", "column"),
    "one label only": (b"sentence\tlabel\ngood film\t1\ngreat film\t1\n", "label"),
    "a label that the model lacks": (
        b"sentence\tlabel\ngood film\tpositive\nodd film\tneutral\n",
        "neutral",
    ),
    "a sentence of 100,001 characters": (
        b"sentence\tlabel\n" + b"a" * 100_001 + b"\t1\nbad film\t0\n",
        "100,00",
    ),
    "a binary file": (bytes(range(256)) * 8, "text"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_line_that_names_it(capsys, files, tmp_path, case):
    content, message = BAD_FILES[case]
    (tmp_path / "bad.tsv").write_bytes(content)
    arguments = ["--model", files[0], "--data", str(tmp_path / "bad.tsv"), "--json"]
    assert main(["evaluate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert len(captured.err) < 400


def examples(text: str) -> list[list[str]]:
    """The commands below "examples:", as words, without what the shell does with the output."""
    shown = text.partition("examples:\n")[2].splitlines()
    return [shlex.split(line.partition(" > ")[0]) for line in shown]


def test_the_help_of_every_command_ends_with_examples_that_can_be_typed(capsys):
    def helped(*command: str) -> str:
        with pytest.raises(SystemExit) as left:
            main([*command, "--help"])
        assert left.value.code == 0
        return capsys.readouterr().out

    whole = examples(helped())
    names = re.findall(r"^    (\w+) ", helped(), re.MULTILINE)
    assert names[0] == "app" and len(names) >= 10
    parser = cli.parser()
    for name in names:
        own = examples(helped(name))
        assert own and own == [words for words in whole if words[1] == name], name
        for _, *words in own:
            parser.parse_args(words)


@pytest.mark.parametrize(
    ("command", "names", "default"),
    [("propose", METHODS, DEFAULT_METHOD), ("recover", RECOVERY_NAMES, "compensate")],
)
def test_help_names_every_method(capsys, command, names, default):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    (said,) = re.findall(r"--method NAME (.*?)  ?--", " ".join(capsys.readouterr().out.split()))
    assert all(re.search(rf"\b{name}\b", said) for name in names)
    assert f"{default} (default)" in said


def test_what_cannot_be_parsed_is_bad_input_too(capsys):
    for wrong in ([], ["dance"], ["export"], ["propose", "--heads", "many", "--out", "s.json"]):
        with pytest.raises(SystemExit) as left:
            main(wrong)
        assert left.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith("usage: bhpvas")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["score", "export"])
def test_ctrl_c_ends_a_command_with_one_line_and_no_file(tmp_path, command):
    """With a real signal, in the middle of the work; its bar on a terminal says when that is."""
    given = ["score", "--json"]
    if command == "export":
        scheme = Scheme.of(load_classifier()).removing([HeadId(0, 1), HeadId(4, 2)])
        scheme.save(tmp_path / "scheme.json")
        given = ["export", "--scheme", "scheme.json", "--format", "dense", "--out", "out"]
    printed = tmp_path / "printed"
    printed.touch()
    before = set(tmp_path.iterdir())
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    with printed.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "bhpvas", *given],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=end,
            # Whoever runs the tests in the background may have had the signal ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    os.close(end)
    said = b""
    while b"%" not in said:  # the first batch is done
        said += os.read(terminal, 4096)
    assert (set(tmp_path.iterdir()) > before) == (command == "export")  # its folder has no name yet
    running.send_signal(signal.SIGINT)
    assert running.wait() == 1
    said += os.read(terminal, 4096)
    os.close(terminal)
    assert printed.read_bytes() == b"" and set(tmp_path.iterdir()) == before
    assert said.splitlines()[-1] == b"bhpvas: interrupted; nothing was written."


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from bhpvas.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'streamlit', 'pandas', 'spacy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "evaluate" in done.stdout and "examples:" in done.stdout


def test_what_searches_and_recovers_never_reads_the_evaluation_split(
    capsys, files, tmp_path, monkeypatch
):
    """The sample sentences with an evaluation split that cannot be touched."""

    class Untouchable:
        def __getattribute__(self, name):
            raise AssertionError(f"the evaluation split was read: {name}")

        def __len__(self):
            raise AssertionError("the evaluation split was counted")

    splits = Splits(read_dataset(files[1]), Untouchable(), "for this test")
    monkeypatch.setattr("bhpvas.data.reading.sample_splits", lambda: splits)
    out = str(tmp_path / "s.json")
    for method in METHODS:
        arguments = ["--model", files[0], "--method", method, "--heads", "2", "--out", out]
        run(capsys, "propose", *arguments, "--max-drop", "0.5")
    run(capsys, "propose", "--model", files[0], "--method", "random", "--heads", "2", "--out", out)
    monkeypatch.setattr("bhpvas.recovery.finetuning.FEWEST_SENTENCES", 4)
    for method in RECOVERY_NAMES:
        arguments = ["--model", files[0], "--method", method, "--scheme", out]
        run(capsys, "recover", *arguments, "--out", str(tmp_path / "r.json"))
    with pytest.raises(AssertionError, match="the evaluation split was read"):
        main(["compare", out, "--model", files[0], "--out", str(tmp_path / "t.csv")])


MISTAKES = {
    "too many heads": (["propose", "--heads", "9"], "9 heads cannot be removed: 8 of the 8"),
    "a negative number": (["propose", "--heads", "-1"], "-1 heads cannot be removed"),
    "no such method": (["propose", "--heads", "1", "--method", "magic"], "'magic' is no method"),
    "no such head": (["propose", "--heads", "1", "--protect", "L7H0"], "L7H0 does not exist"),
    "a drop in points": (["propose", "--heads", "1", "--max-drop", "2"], "is no share of 1"),
    "fewer than no heads a layer": (
        ["propose", "--heads", "1", "--min-per-layer", "-3"],
        "--min-per-layer -3 is no number of heads",
    ),
    "a negative seed": (["propose", "--heads", "1", "--seed", "-1"], "--seed -1 is no seed"),
    "a seed without end": (["propose", "--heads", "1", "--seed", "9" * 20], "is no seed"),
    "one sentence": (["propose", "--heads", "1", "--sentences", "1"], "2 are the least"),
    "no such folder": (
        ["propose", "--heads", "1", "--out", "/nowhere/s.json"],
        "cannot be written",
    ),
    "no such recovery": (["recover", "--scheme", "S", "--method", "magic"], "is no recovery"),
    "no way to train": (
        ["recover", "--scheme", "S", "--method", "finetune", "--epochs", "0"],
        "The epochs of 0 cannot be: choose a number above 0",
    ),
    "too few to train on": (
        ["recover", "--scheme", "S", "--method", "finetune"],
        "at least 16 sentences",
    ),
    "a setting of another method": (
        ["recover", "--scheme", "S", "--learning-rate", "0.1"],
        "--learning-rate is a setting of fine-tuning",
    ),
    "nothing removed": (["recover", "--scheme", "EMPTY"], "nothing to recover"),
    "no such scheme": (["recover", "--scheme", "nowhere.json"], "nowhere.json cannot be read"),
    "weights missing": (["recover", "--scheme", "LOST"], "stand beside the scheme file"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_one_line_and_leave_no_file(capsys, files, tmp_path, proposed, case):
    arguments, message = MISTAKES[case]
    scheme = load_scheme(proposed[0])
    Scheme.of(load_classifier(files[0])).save(tmp_path / "EMPTY")
    scheme.save(tmp_path / "S")
    scheme.recovered("0" * 16, "compensate").save(tmp_path / "LOST")
    arguments = [str(tmp_path / one) if one in ("S", "EMPTY", "LOST") else one for one in arguments]
    before = set(tmp_path.iterdir())
    common = ["--model", files[0], "--calibration", files[1], "--json"]
    if "--out" not in arguments:
        common += ["--out", str(tmp_path / "out.json")]
    assert main([*arguments, *common]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [
        ["propose", "--heads", "1"],
        ["recover", "--scheme", "S"],
        ["recover", "--scheme", "S", "--method", "finetune"],
        ["compare", "S", "--random", "0"],
        ["export", "--scheme", "S", "--format", "dense"],
    ],
    ids=lambda command: " ".join(command[:5]),
)
@pytest.mark.parametrize("out", ["no/such.json", "folder", "a" * 256])
def test_a_target_that_cannot_be_written_is_said_before_any_work(
    capsys, files, tmp_path, proposed, monkeypatch, command, out
):
    def work(*_: object, **__: object) -> None:
        raise AssertionError("it began all the same")

    monkeypatch.setattr("bhpvas.model.classifier.load_classifier", work)
    monkeypatch.chdir(tmp_path)
    load_scheme(proposed[0]).save("S")
    Path("folder").mkdir()
    Path("folder", "mine").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main([*command, "--model", files[0], "--out", out, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "cannot be written" in captured.err or "exists already" in captured.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_terminal_of_few_characters_shows_what_it_can(files):
    words = ["evaluate", "--model", files[0], "--data", files[1], "--remove", "L0H1"]
    done = subprocess.run(
        [sys.executable, "-m", "bhpvas", *words],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    said = done.stdout.decode("cp1252")
    assert "accuracy" in said and "points against the unpruned" in said


def test_new_commands_speak_to_people(capsys, files, tmp_path, proposed):
    common = ["--model", files[0]]
    for command in (
        ["propose", *common, "--calibration", files[1], "--heads", "2", "--method", "random"],
        ["recover", *common, "--calibration", files[1], "--scheme", proposed[0]],
        ["compare", proposed[0], *common, "--data", files[1], "--random", "2"],
    ):
        assert main([*command, "--out", str(tmp_path / "out")]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 2


@pytest.mark.parametrize("command", ["compare", "report --scheme"])
def test_as_many_random_masks_and_orders_are_drawn_as_by_the_library(command):
    """`--help` says how many by hand, since statistics import scipy."""
    assert cli.parser().parse_args([*command.split(), "s", "--out", "x"]).random == RANDOM_ORDERS
