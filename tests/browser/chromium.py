"""Chromium, headless: which one is started, and with which flags."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    # Debian turns it on, and without a graphics card it takes the processor's time.
    "--disable-gpu-rasterization",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever asks another host is told that there is none.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def chromium() -> str | None:
    """A Chromium or Chrome of this system; None where playwright has to bring its own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def launch(playwright: Playwright) -> Iterator[Browser]:
    """A headless browser: the system's, else playwright's, installed where it is missing."""
    executable = chromium()
    if executable is None and not Path(playwright.chromium.executable_path).exists():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
    try:
        yield browser
    finally:
        browser.close()
