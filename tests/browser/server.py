"""Server of the app on a free port, in a process of its own that a test may kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
#: Longest wait for anything, in milliseconds: a slow machine with a cold cache still gets there.
PATIENCE = 300_000


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(
    environment: dict[str, str] | None = None,
    *,
    port: int | None = None,
    how: signal.Signals = signal.SIGTERM,
) -> Iterator[str]:
    """As :func:`running`; gives the address alone."""
    with running(environment, port=port, how=how) as (address, _):
        yield address


@contextmanager
def running(
    environment: dict[str, str] | None = None,
    *,
    port: int | None = None,
    how: signal.Signals = signal.SIGTERM,
    log: IO[bytes] | None = None,
    script: str = "streamlit_app.py",
) -> Iterator[tuple[str, int]]:
    """The app on a port, any free one where none is given; gives its address and process.

    ``how`` is the signal that ends it, ``log`` the file for what it says, ``script`` another app.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "bhpvas.ui.server", "run", script]
    options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    with tempfile.TemporaryFile() if log is None else nullcontext(log) as said:
        server = subprocess.Popen(
            command + options,
            cwd=ROOT,
            env=os.environ | (environment or {}),
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/_stcore/health", server)
            yield address, server.pid
        except BaseException:
            said.seek(0)
            print(said.read().decode(errors="replace"), file=sys.stderr)
            raise
        finally:
            server.send_signal(how)
            server.wait(30)


class MortalServer:
    """The app on a port of its own, killed and started again as a test wants it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment, self._port, self._running = environment, free_port(), ExitStack()
        self.start()

    def start(self) -> None:
        """Start it; returns once it answers."""
        started = running(self._environment, port=self._port, how=signal.SIGKILL)
        self.address, self.process = self._running.enter_context(started)

    def kill(self) -> None:
        """Kill it, whatever it does."""
        self._running.close()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {server.returncode}")
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError("the server did not answer")
