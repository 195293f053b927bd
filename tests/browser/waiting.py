"""Waiting for a page: until every click is answered, nothing runs, and what it wants is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.server import PATIENCE

#: A page counts as at rest once it has been so for this many milliseconds.
QUIET = 450
# A click is answered some time after it was sent, and until then the page seems to be at rest. So
# the page's sockets note when they last sent something, and when they last got something.
_TRAFFIC = """
window.traffic = {sent: 0, got: 0};
window.WebSocket = class extends window.WebSocket {
    constructor(...given) {
        super(...given);
        this.addEventListener('message', () => { window.traffic.got = performance.now(); });
    }
    send(message) {
        window.traffic.sent = performance.now();
        super.send(message);
    }
};
"""
_AT_REST = """
() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && window.traffic.got >= window.traffic.sent
"""


class WaitingPage:
    """A page of the app, at an address, that says when it has come to rest."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self._goes_on = False
        page.on("websocket", self._listen)
        page.add_init_script(_TRAFFIC)
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)

    def settle(self) -> None:
        """Wait until every click is answered, nothing runs, and what the page wants is there."""
        deadline = time.monotonic() + PATIENCE / 1000
        since = time.monotonic()
        while time.monotonic() < since + QUIET / 1000:
            self.page.wait_for_timeout(QUIET / 6)
            if self._goes_on or not self.page.evaluate(_AT_REST):
                since = time.monotonic()
            assert since < deadline, "the page does not come to rest"

    def _listen(self, socket: WebSocket) -> None:
        self._goes_on = False
        socket.on("framereceived", self._hear)

    def _hear(self, frame: bytes | str) -> None:
        # Between a run of the script and the next one that it asked for itself, the page seems to
        # be at rest for as long as the server's garbage collection takes.
        assert isinstance(frame, bytes)
        message = ForwardMsg.FromString(frame)
        if message.WhichOneof("type") == "script_finished":
            self._goes_on = message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN

    @contextmanager
    def drawn_by_the_next_server(self, button: str | None = None) -> Iterator[None]:
        """Around the start of a server after another's end: waits until it has drawn the page.

        A server that goes on with long work comes to no rest: then until it has drawn ``button``.
        """
        drawn = list[str]()

        def draws(frame: bytes | str) -> None:
            assert isinstance(frame, bytes)
            drawn.append(ForwardMsg.FromString(frame).delta.new_element.button.label)

        def listen(socket: WebSocket) -> None:
            socket.on("framereceived", draws)

        self.page.on("websocket", listen)
        yield
        deadline = time.monotonic() + PATIENCE / 1000
        while button not in drawn if button else not drawn:
            assert time.monotonic() < deadline, "the page was not drawn again"
            self.page.wait_for_timeout(100)
        self.page.remove_listener("websocket", listen)
        if button is None:
            self.settle()
