"""Commands of bhpvas as a person types them, run in this process, which has imported all."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any

from bhpvas.cli.main import main


def command_line(*arguments: str) -> Any:
    """What a bhpvas command prints with --json."""
    with redirect_stdout(io.StringIO()) as said:
        assert main([*arguments, "--json"]) == 0
    return json.loads(said.getvalue())
