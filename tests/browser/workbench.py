"""Gestures of a person in the app: on its head maps, its timeline and tree, and its sidebar."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from bhpvas.scheme.scheme import Scheme
from tests.browser.waiting import WaitingPage


class Workbench(WaitingPage):
    """What a person does in the app, in words of its pages."""

    def open(self) -> None:
        """Open the page; returns once the head map is there with its colours."""
        self.page.goto(self.address)
        ready = ".st-key-head-map .cbaxis, [data-testid=stException]"
        self.page.locator(ready).first.wait_for(state="attached")
        assert not self.complaints()

    def open_and_select(self) -> None:
        """Open the page and click L0H0, coloured or not; returns once the map has it selected."""
        self.page.goto(self.address)
        self.page.locator(".st-key-head-map .nsewdrag").first.wait_for()
        listening = self.page.locator(".st-key-listener-head-map .listening")
        listening.first.wait_for(state="attached")
        self.point_at(*self.cell(0, 0))
        self.page.get_by_label(re.compile("^Head map of .* 1 selected$")).first.wait_for()

    def remove(self) -> None:
        """Remove whatever is selected, and wait until it is measured."""
        self.page.get_by_role("button", name=re.compile(r"^Remove \d+ heads?$")).click()
        self.settle()

    def press(self, label: str) -> None:
        """Press a button by its exact label and wait for the page."""
        button = self.page.get_by_role("button", name=label, exact=True)
        closed = self.page.get_by_test_id("stExpandSidebarButton")
        inside = self.page.get_by_test_id("stSidebar").get_by_role("button", name=label, exact=True)
        opened = closed.is_visible() and inside.count() > 0
        if opened:
            closed.click()
        button.click()
        if opened:
            self.page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
        self.page.mouse.move(0, 0)
        self.settle()

    def go(self, title: str, sign: str) -> None:
        """Go to another page by the sidebar; returns once ``sign`` is on it."""
        link = self.page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True)
        closed = self.page.get_by_test_id("stExpandSidebarButton")
        if closed.is_visible():
            closed.click()
        link.click()
        self.page.locator(f"{sign}, [data-testid=stException]").first.wait_for()
        self.settle()
        assert not self.complaints()

    def cell(self, layer: int, head: float, grid: str = "head-map") -> tuple[float, float]:
        """Where a head's cell is on the screen, or another place so many cells from the first."""
        area = self.page.locator(f".st-key-{grid} .nsewdrag").first
        area.evaluate("element => element.scrollIntoView({block: 'center'})")
        box = area.bounding_box()
        assert box is not None
        layers = self.page.locator(f".st-key-{grid} .ytick").count()
        across = self.page.locator(f".st-key-{grid} .js-plotly-plot").evaluate(
            "element => element._fullLayout.xaxis.range[1] + 0.5"  # cells, from H0 on
        )
        x = box["x"] + box["width"] * (head + 0.5) / across
        y = box["y"] + box["height"] * (1 - (layer + 0.5) / layers)
        return x, y

    def click_head(self, layer: int, head: int, grid: str = "head-map") -> None:
        """Click a cell of a head map."""
        self.point_at(*self.cell(layer, head, grid))
        self.settle()

    def click_part(self, layer: int, grid: str = "head-map") -> None:
        """Click a feed-forward part, in the wide cell behind the twelve heads of the sample."""
        x, y = self.cell(layer, 13, grid)
        self.point_at(x, y)
        self.settle()

    def point_at(self, x: float, y: float) -> None:
        """Click a place of a figure."""
        # Plotly takes a click on what the pointer was over before, so the pointer comes first.
        self.page.mouse.move(x - 3, y - 3)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(150)
        self.page.mouse.click(x, y)

    def drag_box(self, low: tuple[int, int], high: tuple[int, int]) -> None:
        """Draw a box from one head to another, both included; the pointer must select a box."""
        x, y = self.cell(*low)
        to_x, to_y = self.cell(*high)
        self.page.mouse.move(x - 8, y + 8)
        self.page.mouse.down()
        self.page.mouse.move(to_x, to_y, steps=4)
        self.page.mouse.move(to_x + 8, to_y - 8)
        self.page.mouse.up()
        self.settle()

    def lasso(self, corners: list[tuple[float, float]]) -> None:
        """Drag the pointer over the first panel of the map of sentences.

        Corners are shares of its width and height, from the top left.
        """
        area = self.page.locator(".st-key-sentence-map .nsewdrag").first
        area.evaluate("element => element.scrollIntoView({block: 'center'})")
        box = area.bounding_box()
        assert box is not None
        (begin, *rest) = [
            (box["x"] + box["width"] * right, box["y"] + box["height"] * down)
            for right, down in corners
        ]
        self.page.mouse.move(*begin)
        self.page.mouse.down()
        for corner in rest:
            self.page.mouse.move(*corner, steps=6)
        self.page.mouse.up()
        self.settle()

    def choose(self, pointer: str) -> None:
        """Choose what the pointer selects: head, layer or box."""
        self.page.locator(".st-key-pointer").get_by_text(pointer, exact=True).click()
        self.settle()

    def click_step(self, step: int) -> None:
        """Click a step's point on the timeline."""
        point = self.page.locator(".st-key-timeline-chart .scatterlayer .point").nth(step)
        point.evaluate("element => element.scrollIntoView({block: 'center'})")
        box = point.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x - 2, y - 2)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(150)
        self.page.mouse.click(x, y)
        self.settle()

    def click_tree(self, step: int) -> None:
        """Click a step's row in the tree of schemes."""
        figure = self.page.locator(".st-key-tree-chart .js-plotly-plot")
        place = figure.evaluate(
            """(element, step) => {
                const targets = element.data.find(one => one.name === 'steps x');
                const at = targets.customdata.findIndex(one => one[0] === step);
                const {xaxis, yaxis} = element._fullLayout;
                return [
                    xaxis._offset + xaxis.d2p(targets.x[at]),
                    yaxis._offset + yaxis.d2p(targets.y[at]),
                ];
            }""",
            step,
        )
        figure.evaluate("element => element.scrollIntoView({block: 'center'})")
        # A long tree scrolls within its frame: the row has to be in sight there, too.
        figure.evaluate(
            """(element, y) => {
                let frame = element.parentElement;
                while (frame.parentElement && frame.scrollHeight <= frame.clientHeight + 1)
                    frame = frame.parentElement;
                const seen = frame.getBoundingClientRect();
                const row = element.getBoundingClientRect().top + y;
                frame.scrollTop += row - (seen.top + seen.bottom) / 2;
            }""",
            place[1],
        )
        box = figure.bounding_box()
        assert box is not None
        x, y = box["x"] + place[0], box["y"] + place[1]
        self.page.mouse.move(x - 3, y - 3)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(150)
        self.page.mouse.click(x, y)
        self.settle()

    def view(self, name: str) -> None:
        """Choose a view of the Schemes page."""
        self.page.locator(".st-key-view").get_by_text(name, exact=True).click()
        self.settle()

    def by_heads(self) -> None:
        """Choose a number of heads on the view Propose, instead of a target."""
        self.page.locator(".st-key-how-small").get_by_text("Heads", exact=True).click()
        self.settle()

    def propose(self, method: str, heads: int) -> None:
        """Ask a method, by its title, for so many heads, on the view Propose."""
        self.by_heads()
        box = self.page.locator(".st-key-method").get_by_role("combobox")
        box.click()
        box.fill(method)
        self.page.get_by_role("option", name=method, exact=True).click()
        self.settle()
        self.page.get_by_label("Heads to remove").fill(str(heads))
        self.page.keyboard.press("Enter")
        self.settle()
        self.page.locator(".st-key-propose").get_by_role("button").click()
        proposal = self.page.locator(".st-key-proposal-map .nsewdrag")
        proposal.or_(self.page.get_by_test_id("stAlert")).first.wait_for()
        self.settle()

    def expect_selected(self, *heads: str) -> None:
        """Wait until exactly these heads are selected, as the panel beside the map lists them."""
        names = self.page.locator("[class*=st-key-panel] td.name")
        expect(names).to_have_count(len(heads))
        for head in heads:
            expect(names.filter(has_text=re.compile(f"^{head}$"))).to_have_count(1)

    def text(self) -> str:
        """Everything that the page says."""
        return self.page.locator("[data-testid=stMainBlockContainer]").inner_text()

    def fact(self, name: str) -> str:
        """A line of the sidebar by its name, such as ``accuracy``."""
        return self.page.locator(f"#{name}").inner_text()

    def expect_fact(self, name: str, said: str) -> None:
        """Wait until a line of the sidebar says this, and for what follows from it."""
        expect(self.page.locator(f"#{name}")).to_have_text(said)
        self.settle()

    def accuracy(self) -> float:
        """The accuracy of the current step in percent, as the sidebar says it."""
        found = re.findall(r"(\d+\.\d)(?=%)", self.fact("accuracy"))
        assert found, self.fact("accuracy")
        return float(found[0])

    def saved(self) -> Scheme:
        """The scheme, as its button saves it."""
        with self.page.expect_download() as download:
            self.page.get_by_test_id("stSidebar").get_by_role("button", name="Save").click()
        self.page.mouse.move(0, 0)  # the button's tooltip lies over others
        return Scheme.from_json(Path(download.value.path()).read_text(encoding="utf-8"))

    def complaints(self) -> list[str]:
        """Every exception box on the page: of the script, and of what could not be drawn."""
        boxes = "[data-testid=stException], [data-testid=stAlertContentError]:has(pre)"
        return self.page.locator(boxes).all_inner_texts()

    def show_whole(self) -> None:
        """Make the window as high as the page, so that a picture shows all of it."""
        height = self.page.evaluate(
            "document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight"
        )
        width = self.page.viewport_size["width"] if self.page.viewport_size else 1440
        self.page.set_viewport_size({"width": width, "height": int(height) + 80})
        self.settle()
