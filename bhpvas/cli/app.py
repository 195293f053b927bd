"""`bhpvas app`: starts the web page."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from bhpvas.cli.inputs import kept_results
from bhpvas.cli.options import CacheOptions, option
from bhpvas.errors import BhpvasError


@dataclass(frozen=True, kw_only=True)
class Options(CacheOptions):
    port: int = option("port of the web page (default: 8501)", default=8501)
    address: str | None = option(
        "where to listen, such as 0.0.0.0 = every network of this computer (default: this computer "
        "alone; every network where BHPVAS_HOSTED is set)"
    )
    no_browser: bool = option("do not open a browser window")


def run(options: Options) -> None:
    """Open the workbench in the browser."""
    from bhpvas.storage.paths import app_script
    from bhpvas.ui.state import limits

    kept_results(options.cache)  # so that a wrong BHPVAS_CACHE_MB is said here
    if not 1 <= options.port <= 65535:
        raise BhpvasError(f"--port {options.port} is no port: choose one from 1 to 65535.")
    address = options.address
    if address is not None:
        _check_address(address)
    if not (address or limits.current().hosted or "STREAMLIT_SERVER_ADDRESS" in os.environ):
        address = "localhost"
    command = [sys.executable, "-m", "bhpvas.ui.server", "run", str(app_script())]
    command += ["--server.port", str(options.port), "--browser.gatherUsageStats", "false"]
    command += ["--server.headless", "true" if options.no_browser else "false"]
    command += ["--server.address", address] if address else []
    # From the app's own folder, where its theme and settings lie.
    environment = os.environ | ({} if options.cache else {"BHPVAS_CACHE": "off"})
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
