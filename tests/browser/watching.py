"""Watching a page: what it asks other hosts for, which dialogs it opens, what fails in its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Dialog, Error, Request

from tests.browser.waiting import WaitingPage


@contextmanager
def by_itself(app: WaitingPage) -> Iterator[None]:
    """Within it the page may reach our server alone, open no dialog, and have no fault."""
    address, found = app.address, list[str]()
    ours = (address, address.replace("http", "ws", 1), "data:", "blob:", "about:")

    def ask(request: Request) -> None:
        if not request.url.startswith(ours):
            found.append(request.url)

    def open_dialog(dialog: Dialog) -> None:
        found.append(dialog.message)
        dialog.dismiss()

    def fail(error: Error) -> None:
        found.append(str(error))

    listeners = {"request": ask, "dialog": open_dialog, "pageerror": fail}
    for event, listener in listeners.items():
        app.page.on(event, listener)  # type: ignore[call-overload]
    yield
    for event, listener in listeners.items():
        app.page.remove_listener(event, listener)
    assert found == []
