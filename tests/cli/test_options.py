"""Options: what the parser makes of typed fields, and what commands say of themselves."""

from __future__ import annotations

import pytest

from bhpvas.cli.main import parser

ARGUMENTS = {
    "score": [],
    "ablate": [],
    "evaluate": [],
    "roles": [],
    "compare": ["a.json", "b.json", "--out", "t.csv"],
    "propose": ["--heads", "3", "--out", "s.json"],
    "recover": ["--scheme", "s.json", "--out", "t.json"],
    "export": ["--scheme", "s.json", "--format", "dense", "--out", "folder"],
    "report": ["--scheme", "s.json", "--out", "r.html"],
}


@pytest.mark.parametrize("command", ARGUMENTS)
def test_only_commands_that_pass_over_sentences_choose_their_numbers(command: str) -> None:
    given = parser().parse_args([command, *ARGUMENTS[command]])
    passes = command in {"score", "ablate", "evaluate", "compare"}
    assert given.shares_passes == passes
    assert given.dtype == ("auto" if passes else "float32")
    learns = command in {"score", "ablate", "roles", "propose", "recover"}
    assert given.command.Options.split == ("calibration" if learns else "evaluation")


def test_values_have_the_type_of_their_field() -> None:
    text = "propose --heads 3 --max-drop 0.01 --calibration c.tsv --sentences 9 --out s.json"
    given = parser().parse_args(text.split())
    assert (given.heads, given.max_drop, given.data, given.sentences) == (3, 0.01, "c.tsv", 9)
    given = parser().parse_args("compare a b --out t.csv".split())
    assert (given.schemes, given.random, given.json) == (["a", "b"], 20, False)
    given = parser().parse_args("recover --scheme s --out t --embeddings --epochs 2".split())
    assert (given.embeddings, given.epochs, given.batch_size) == (True, 2.0, None)
    assert parser().parse_args(["score", "--no-cache"]).cache is False
    assert parser().parse_args(["score"]).cache is True


def test_a_mask_and_a_scheme_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args("evaluate --remove L0H0 --scheme s.json".split())
    assert "not allowed with" in capsys.readouterr().err
