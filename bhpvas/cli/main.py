"""Command line: the parser, the dispatch to one module a command, and how a mistake ends.

Heavy imports stand inside the commands' functions, so that ``--help`` and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields

from bhpvas.cli import (
    ablate,
    app,
    compare,
    evaluate,
    export,
    info,
    processes,
    propose,
    recover,
    report,
    roles,
    score,
)
from bhpvas.cli.options import add_options
from bhpvas.errors import BhpvasError
from bhpvas.model.memory import limit_error
from bhpvas.model.threads import wait_asleep
from bhpvas.storage.files import no_room

# In the order of the help. A command has `Options` and `run`.
_COMMANDS = (app, info, score, ablate, evaluate, roles, propose, recover, compare, export, report)

# The help of a command shows its own.
_EXAMPLES = """examples:
  bhpvas app
  bhpvas info --model ./my-bert
  bhpvas score --criteria importance,similarity --json > scores.json
  bhpvas score --model owner/model --data reviews.csv --remove L0H3,L5H11
  bhpvas ablate --data reviews.csv
  bhpvas evaluate --remove L0H3,L5H11
  bhpvas roles --min-count 50
  bhpvas roles --model owner/model --data avis.csv --parser fr_core_news_sm
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


# What every generator of random numbers takes.
_LARGEST_SEED = 2**32 - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 interrupted or failed, 2 bad input."""
    wait_asleep()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # one of few characters, as on Windows
        sys.stdout.reconfigure(errors="replace")
    given = parser().parse_args(words)
    given.command_line = shlex.join(["bhpvas", *(word for word in words if word != "--json")])
    try:
        _check_seed(given)
        with processes.joined(given):
            options = given.command.Options
            given.command.run(
                options(**{one.name: getattr(given, one.name) for one in fields(options)})
            )
    except KeyboardInterrupt:
        print("bhpvas: interrupted; nothing was written.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has closed it, as `head` does; nothing is left to say.
        sys.stderr.close()
        return 1
    except Exception as error:
        told = error if isinstance(error, BhpvasError) else limit_error(error) or no_room(error)
        if told is None:
            raise
        if processes.is_first():
            print(f"bhpvas: {told}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; the help of one is the first line of its ``run``."""
    found = argparse.ArgumentParser(
        prog="bhpvas",
        description="See what every attention head of a BERT classifier does, and remove the ones "
        "it can do without.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = found.add_subparsers(required=True, metavar="command")
    title, *examples = _EXAMPLES.splitlines()
    for command in _COMMANDS:
        name = command.__name__.rpartition(".")[2]
        first = (command.run.__doc__ or "").split("\n")[0].rstrip(".")
        own = [line for line in examples if line.split()[1] == name]
        added = commands.add_parser(
            name,
            help=first,
            description=first,
            epilog="\n".join([title, *own]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_options(added, command.Options)
        added.set_defaults(command=command)
    return found


def _check_seed(given: argparse.Namespace) -> None:
    if not 0 <= getattr(given, "seed", 0) <= _LARGEST_SEED:
        raise BhpvasError(
            f"--seed {given.seed} is no seed: give a whole number from 0 to {_LARGEST_SEED}."
        )


if __name__ == "__main__":
    sys.exit(main())
