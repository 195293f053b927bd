"""Many browsers at work at once while things break: nothing on screen is wrong, nothing is lost.

``python -m benchmarks.soak --minutes 10 --browsers 8`` prints the table of ``docs/reliability.md``.
Each browser walks at random through the app, with its own seed. After every gesture it saves its
scheme and notes what the page says; after the run each number is compared with what the library
gives for that mask. Meanwhile, by plan, browsers go offline and reload in mid-work, the server is
killed and started again, and the disk that it writes to is full for a while.

That disk is a small one in memory where the system lets us mount it; elsewhere the server's files
may not grow (RLIMIT_FSIZE), which it meets as the same error.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Error, Page, WebSocket, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg

from benchmarks.app import SIGNS, SIZE, peak_gigabytes
from bhpvas.data.reading import sample_splits
from bhpvas.evaluation.comparison import flips
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import HeadId, HeadMask, format_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import parameters
from bhpvas.scheme.scheme import Scheme
from tests.browser.chromium import launch
from tests.browser.server import free_port, running
from tests.browser.workbench import Workbench

#: Memory of the server with eight browsers, in GB: see docs/benchmarks.md.
MOST_MEMORY = 1.3
#: Longest waits in milliseconds: for a button or a click, which a fault may have taken away, and
#: for a page, whose measurements come after those of all others.
SHORT, LONG = 60_000, 240_000
#: How often a browser looks, after a fault or a gesture, until it must have seen something.
MOST_LOOKS = 5
#: What happens when, in shares of the time; a full disk has room again at the next entry.
PLAN = (
    (0.10, "offline"),
    (0.20, "reload"),
    (0.30, "kill"),
    (0.45, "full disk"),
    (0.55, "room again"),
    (0.65, "kill"),
    (0.75, "offline"),
    (0.85, "reload"),
    (0.90, "kill"),
)
DISK_MEGABYTES = 64
_REMOVE, _RESTORE = re.compile(r"^Remove \d+ heads?$"), re.compile(r"^Restore \d+ heads?$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Seen:
    """What a page said of a mask: ``accuracy`` with its interval, in percent; ``parameters`` as it
    stands there; ``flipped`` where the page shows it.
    """

    mask: HeadMask
    kept: int
    accuracy: tuple[float, ...]
    parameters: str
    flipped: int | None


@dataclass
class Log:
    """What all browsers saw and what went wrong, as sentences."""

    seen: list[Seen] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    gestures: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    sentences: Counter[str] = field(default_factory=Counter)


# --- the server and its disk ----------------------------------------------------------------------


class Disk:
    """Where the server keeps work and results, which can be made full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
        mount = shutil.which("mount")
        self.mounted = (
            mount is not None
            and not subprocess.run(
                [mount, *options], stderr=subprocess.DEVNULL, check=False
            ).returncode
        )
        self.how = f"a disk of {DISK_MEGABYTES} MB in memory" if self.mounted else "RLIMIT_FSIZE"
        self._ballast = folder / "ballast"

    def fill(self, process: int) -> None:
        """From here on nothing more can be written."""
        if not self.mounted:
            self._limit(process, 0)
            return
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self, process: int) -> None:
        """There is room again."""
        if not self.mounted:
            self._limit(process, resource.RLIM_INFINITY)
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the memory back."""
        if self.mounted:
            subprocess.run(["umount", str(self.folder)], check=True)

    def _limit(self, process: int, most: int) -> None:
        _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most, hard))


class Server:
    """The app, which can be killed and started again at the same address."""

    def __init__(self, disk: Disk, log: Path) -> None:
        self.disk, self.log = disk, log
        self.port = free_port()
        self.peak = 0.0
        # Raised by one whenever the server goes or comes: what lies between is undisturbed.
        self.lives = 0
        self.up = threading.Event()

    @contextmanager
    def life(self) -> Iterator[int]:
        """Run until the end of the block, which is a kill; gives the process."""
        kept = {"BHPVAS_HOME": str(self.disk.folder), "BHPVAS_CACHE": str(self.disk.folder / "c")}
        with (
            self.log.open("ab+") as log,
            running(
                {"HF_HUB_OFFLINE": "1"} | kept, port=self.port, how=signal.SIGKILL, log=log
            ) as (_, process),
        ):
            self.lives += 1
            self.up.set()
            try:
                yield process
            finally:
                self.peak = max(self.peak, peak_gigabytes(process) or 0.0)
                self.up.clear()
                self.lives += 1


# --- one browser ----------------------------------------------------------------------------------


class Visitor(threading.Thread):
    """A browser of its own that goes through the app at random until it is told to stop."""

    scheme: Scheme

    def __init__(
        self, number: int, seed: int, server: Server, log: Log, evidence: Path | None = None
    ) -> None:
        super().__init__(name=f"browser {number}", daemon=True)
        self.random = random.Random(1000 * seed + number)
        self.server, self.log, self.evidence = server, log, evidence
        self.did = deque[str](maxlen=60)
        self.order: str | None = None
        self.busy = False
        self.looks = 0
        self.stopping = threading.Event()
        self.opened = threading.Event()

    def run(self) -> None:
        with sync_playwright() as playwright, launch(playwright) as browser:
            page = browser.new_context(viewport=SIZE).new_page()
            page.on("websocket", self._listen)
            self.app = Workbench(page, f"http://127.0.0.1:{self.server.port}")
            self.app.open()
            self.app.settle()
            page.set_default_timeout(SHORT)
            while not self._look(None) and not self.stopping.is_set():
                pass
            self.opened.set()
            while not self.stopping.is_set():
                self._step()

    @property
    def page(self) -> Page:
        return self.app.page

    def _step(self) -> None:
        """A gesture, with whatever breaks meanwhile, and a look at what came of it."""
        life, expected = self.server.lives, None
        order, self.order = self.order, None  # one that comes from here on is for the next step
        self.busy = True
        try:
            if order is None:
                expected = self._gesture()
            else:
                self._break(order)
        except (Error, AssertionError) as error:
            expected = None
            if self._undisturbed(life) and order is None:
                self._note(self.log.failed, _first(error), str(error))
        finally:
            self.busy = False
        looks = 0
        while not self.stopping.is_set():
            if self._look(expected if self._undisturbed(life) else None):
                break
            looks = looks + 1 if self.server.up.is_set() else 0
            if looks == MOST_LOOKS:
                self._note(self.log.failed, f"sees nothing on {self._title}")
                self.page.reload()

    def _undisturbed(self, life: int) -> bool:
        return self.server.lives == life and self.server.up.is_set()

    # --- what it does ---

    def _gesture(self) -> HeadMask | None:
        """Something that a person does; returns the mask that must come of it."""
        kept = self.scheme.mask.kept_count
        choices: dict[Callable[[], HeadMask | None], float] = {
            self._remove: 6 if kept > 24 else 0,
            self._lowest: 2 if kept > 24 else 0,
            self._restore: 3 if self.scheme.mask.removed else 0,
            self._undo: 3 if self.scheme.can_undo else 0,
            self._redo: 2 if self.scheme.can_redo else 0,
            self._branch: 2 if len(self.scheme.steps) > 2 else 0,
            self._turn: 3,
            self._read: 1,
        }
        (chosen,) = self.random.choices(list(choices), list(choices.values()))
        self.log.gestures[chosen.__name__.strip("_")] += 1
        self._tell(f"gesture {chosen.__name__.strip('_')}")
        return chosen()

    def _remove(self) -> HeadMask:
        heads = self._select(self.scheme.mask)
        self.page.get_by_role("button", name=_REMOVE).click()
        self.app.settle()
        return self.scheme.mask.without(heads)

    def _lowest(self) -> HeadMask:
        self._go("Workbench")
        self.page.get_by_role("button", name=re.compile(r"^Select lowest \d+$")).click()
        self.app.settle()
        heads = self._selected()
        self.page.get_by_role("button", name=_REMOVE).click()
        self.app.settle()
        return self.scheme.mask.without(heads)

    def _restore(self) -> HeadMask:
        heads = self._select(self.scheme.mask.removed)
        self.page.get_by_role("button", name=_RESTORE).click()
        self.app.settle()
        return self.scheme.mask.restored(heads)

    def _undo(self) -> HeadMask:
        self.app.press("Undo")
        return self.scheme.undone().mask

    def _redo(self) -> HeadMask:
        self.app.press("Redo")
        return self.scheme.redone().mask

    def _branch(self) -> HeadMask:
        """Go to any step of the tree; what is removed next grows from there."""
        self._go("Schemes")
        self.app.view("Tree")
        step = self.random.choice(self.scheme.steps)
        self.app.click_tree(step.id)
        return self.scheme.mask_at(step.id)

    def _turn(self) -> HeadMask:
        self._go(self.random.choice([title for title in SIGNS if title != self._title]))
        return self.scheme.mask

    def _read(self) -> HeadMask:
        """Open another sentence."""
        self._go("Sentence")
        self.page.locator(".st-key-sentence-row").get_by_role("combobox").click()
        self.page.get_by_role("option").nth(self.random.randrange(8)).click()
        self.app.settle()
        return self.scheme.mask

    def _go(self, title: str) -> None:
        if title == self._title:
            return
        self.page.set_default_timeout(LONG)
        try:
            self.app.go(title, SIGNS[title])
        finally:
            self.page.set_default_timeout(SHORT)

    @property
    def _title(self) -> str:
        """The page that is open, as its address says."""
        return urlsplit(self.page.url).path.strip("/").capitalize() or "Workbench"

    def _select(self, among: HeadMask | frozenset[HeadId]) -> list[HeadId]:
        """Select one to three heads on the map, and nothing else; returns what is selected."""
        self._go("Workbench")
        clear = self.page.get_by_role("button", name="Clear", exact=True)
        if clear.is_enabled():
            clear.click()
            self.app.settle()
        heads = self.random.sample(sorted(among), min(self.random.randint(1, 3), len(list(among))))
        for head in heads:
            self.app.click_head(head.layer, head.head)
        patient = time.monotonic() + SHORT / 1000
        while self._selected() != sorted(heads) and time.monotonic() < patient:
            self.app.settle()
        assert self._selected() == sorted(heads), f"{self._selected()} selected, not {heads}"
        return heads

    def _selected(self) -> list[HeadId]:
        said = self.page.locator(".st-key-panel td.name").all_inner_texts()
        return sorted(HeadId.parse(one) for one in said)

    # --- what breaks ---

    def _break(self, order: str) -> None:
        """Ask for a measurement, and lose the connection or the page before it is there."""
        heads = self.random.sample(sorted(self.scheme.mask), 1)
        self._go("Workbench")
        self.app.click_head(heads[0].layer, heads[0].head)
        self.page.get_by_role("button", name=_REMOVE).click()
        self.page.wait_for_timeout(self.random.randrange(0, 600))
        self.log.faults[order] += 1
        if order == "reload":
            self.page.reload()
            self.page.locator(SIGNS["Workbench"]).first.wait_for(timeout=LONG)
        else:
            self.page.context.set_offline(True)
            self.page.wait_for_timeout(4000)
            self.page.context.set_offline(False)

    # --- what it sees ---

    def _look(self, expected: HeadMask | None) -> bool:
        """Note what the page says; False where that was disturbed, so that it must look again."""
        if not self.server.up.wait(1):
            return False
        life = self.server.lives
        try:
            self.page.locator("[data-test-connection-state=CONNECTED]").wait_for(timeout=LONG)
            self.app.settle()
            before, scheme, after = self._facts(), self.app.saved(), self._facts()
            complaints = self.app.complaints()
            said = self.page.get_by_role("alert").all_inner_texts()
        except (Error, AssertionError):
            return False
        if not self._undisturbed(life) or before != after or "being measured" in before.values():
            return False
        self.log.tracebacks += [f"{self.name}: {one}" for one in complaints]
        self.log.sentences.update(said)
        missing = (_steps(self.scheme) if self.looks else set()) - _steps(scheme)
        for one in sorted(missing):
            self._note(self.log.lost, one)
        if expected is not None and expected != scheme.mask:
            self._note(
                self.log.wrong,
                f"{format_heads(scheme.mask.removed)} removed instead of "
                f"{format_heads(expected.removed)}",
            )
        self.log.seen.append(_seen(scheme.mask, before))
        self.scheme = scheme
        self.looks += 1
        return True

    # --- what it leaves as evidence ---

    def _note(self, problems: list[str], problem: str, whole: str = "") -> None:
        """Note a problem, with a picture of the page and what led to it, where that is wanted."""
        problems.append(f"{self.name}: {problem}")
        if self.evidence is None:
            return
        name = f"{self.name} {len(list(self.evidence.glob('*.txt')))}".replace(" ", "-")
        what = [problem, self.page.url, whole, *self.did]
        (self.evidence / f"{name}.txt").write_text("\n".join(what) + "\n")
        with suppress(Error):
            self.page.screenshot(path=self.evidence / f"{name}.png")

    def _tell(self, what: str) -> None:
        self.did.append(f"{time.strftime('%H:%M:%S')} {what}")

    def _listen(self, socket: WebSocket) -> None:
        self._tell("connected")
        socket.on("close", lambda _: self._tell("disconnected"))
        socket.on("framesent", lambda sent: self._tell(f"sent {_asked(sent)}"))

    # --- what a page says ---

    def _facts(self) -> dict[str, str]:
        found = {name: self.app.fact(name) for name in ("heads", "accuracy", "parameters")}
        if self._title != "Workbench":
            return found | {"flips": ""}
        changed = self.page.get_by_text(re.compile("predictions changed|No prediction changed"))
        return found | {"flips": changed.first.inner_text()}


def _seen(mask: HeadMask, facts: dict[str, str]) -> Seen:
    return Seen(
        mask=mask,
        kept=int(_NUMBER.findall(facts["heads"])[0]),
        accuracy=tuple(map(float, _NUMBER.findall(facts["accuracy"]))),
        parameters=facts["parameters"].split()[-1],
        flipped=_flipped(facts["flips"]),
    )


def _asked(sent: str | bytes) -> str:
    """What a browser asked of the server: the widgets pressed, and the fragment they stand in."""
    message = BackMsg.FromString(sent.encode() if isinstance(sent, str) else sent)
    asked = message.rerun_script
    pressed = [
        one.id.rsplit("-", 1)[-1]
        for one in asked.widget_states.widgets
        if str(one.WhichOneof("value")).endswith("trigger_value")
    ]
    where = f" in fragment {asked.fragment_id[:8]}" if asked.fragment_id else ""
    return f"{message.WhichOneof('type')}{where}: {', '.join(pressed)}"


def _flipped(said: str) -> int | None:
    if not said:
        return None
    return 0 if said.startswith("No") else int(_NUMBER.findall(said)[0])


def _steps(scheme: Scheme) -> set[str]:
    """Each step of the tree, with what it did and where it began."""
    return {
        f"step {step.id} after {step.parent}: {step.what} {format_heads(step.heads)}"
        for step in scheme.steps
    }


def _first(error: Exception) -> str:
    return " | ".join(str(error).splitlines()[:3])


# --- the run --------------------------------------------------------------------------------------


def soak(minutes: float, visitors: list[Visitor], server: Server, log: Log) -> None:
    """Let the visitors in and break things by the plan."""
    plan = iter([*PLAN, (1.0, "end")])
    begun, fate = 0.0, ""
    while fate != "end":
        with server.life() as process:
            if not begun:
                _let_in(visitors)
                begun = time.monotonic()
            for share, fate in plan:
                _wait_until(begun + 60 * minutes * share, visitors)
                print(f"{time.monotonic() - begun:4.0f} s: {fate}", file=sys.stderr, flush=True)
                if fate in ("offline", "reload"):
                    for visitor in visitors:
                        visitor.order = fate
                elif fate == "full disk":
                    server.disk.fill(process)
                    log.faults[fate] += 1
                elif fate == "room again":
                    server.disk.empty(process)
                    _everybody_looks(visitors)
                else:
                    break
            if fate == "end":
                _everybody_looks(visitors)
                for visitor in visitors:
                    visitor.stopping.set()
                for visitor in visitors:
                    visitor.join()
            else:  # in mid-work
                _wait(lambda: any(visitor.busy for visitor in visitors), visitors)
                log.faults[fate] += 1


def _let_in(visitors: list[Visitor]) -> None:
    for visitor in visitors:
        visitor.start()
    _wait(lambda: all(visitor.opened.is_set() for visitor in visitors), visitors)


def _everybody_looks(visitors: list[Visitor]) -> None:
    """Wait until everybody has done and seen something once more."""
    before = {visitor: visitor.looks + 1 for visitor in visitors}
    _wait(lambda: all(one.looks > looks for one, looks in before.items()), visitors)


def _wait_until(moment: float, visitors: list[Visitor]) -> None:
    _wait(lambda: time.monotonic() > moment, visitors)


def _wait(until: Callable[[], bool], visitors: list[Visitor]) -> None:
    while not until():
        for visitor in visitors:
            if not visitor.is_alive():
                raise SystemExit(f"{visitor.name} ended early")
        time.sleep(0.2)


def check(log: Log, classifier: Classifier) -> None:
    """Compare everything that was seen with what the library gives for its mask."""
    data, known = sample_splits().evaluation.aligned(classifier.label_names), {}
    start = evaluate(classifier, data)
    for seen in log.seen:
        if seen.mask not in known:
            known[seen.mask] = evaluate(classifier, data, seen.mask)
        log.wrong += _differences(seen, known[seen.mask], start, classifier)


def _differences(
    seen: Seen, found: Evaluation, start: Evaluation, classifier: Classifier
) -> Iterator[str]:
    right = {
        "kept": seen.mask.kept_count,
        "accuracy": tuple(
            round(100 * share, 1) for share in (found.accuracy, *found.accuracy_interval)
        ),
        "parameters": f"{parameters(classifier.geometry, seen.mask) / 1e6:.1f}M",
        "flipped": seen.flipped if seen.flipped is None else len(flips(start, found)),
    }
    for name, value in right.items():
        if getattr(seen, name) != value:
            yield f"{name} {getattr(seen, name)} instead of {value} without {seen.mask}"


def main() -> int:
    """Run the soak, print the table, and tell by the exit code whether all went well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--browsers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--evidence", type=Path, help="folder for a picture and the last gestures of each problem"
    )
    given = parser.parse_args()
    if given.evidence is not None:
        given.evidence.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and everything is put away
    log = Log()
    with tempfile.TemporaryDirectory(prefix="bhpvas-soak-") as scratch:
        said = Path(scratch) / "server.log"
        disk = Disk(Path(scratch) / "disk")
        try:
            server = Server(disk, said)
            visitors = [
                Visitor(n, given.seed, server, log, given.evidence) for n in range(given.browsers)
            ]
            soak(given.minutes, visitors, server, log)
        finally:
            disk.close()
        whole = said.read_text(errors="replace")
    log.tracebacks += re.findall(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*.*", whole)
    check(log, load_classifier())
    shown = [one for one in log.seen if one.flipped is not None]
    too_much = server.peak > MOST_MEMORY
    faults = ", ".join(f"{what} {count} ×" for what, count in log.faults.items())
    print(
        f"{given.browsers} browsers, {given.minutes:g} minutes, seed {given.seed}; full disk: "
        f"{disk.how}.\n\n| what | count |\n|---|---|\n"
        f"| gestures | {sum(log.gestures.values()):,} |\n"
        f"| faults | {faults} |\n"
        f"| pages compared with the library, of them with flips | {len(log.seen):,}, "
        f"{len(shown):,} |\n"
        f"| different masks | {len({one.mask for one in log.seen}):,} |\n"
        f"| wrong numbers and masks | {len(log.wrong)} |\n"
        f"| lost steps | {len(log.lost)} |\n"
        f"| tracebacks, on pages and in the server's log | {len(log.tracebacks)} |\n"
        f"| gestures that failed with nothing broken | {len(log.failed)} |\n"
        f"| peak memory of the server | {server.peak:.2f} GB (at most {MOST_MEMORY} GB) |"
    )
    for problem in [*log.wrong, *log.lost, *log.failed, *log.tracebacks]:
        print(problem, file=sys.stderr)
    for sentence, count in log.sentences.most_common():
        print(f"said {count} ×: {' '.join(sentence.split())}", file=sys.stderr)
    return int(bool(log.wrong or log.lost or log.failed or log.tracebacks or too_much))


if __name__ == "__main__":
    sys.exit(main())
