"""Fixtures that many tests share: tiny random classifiers and a few sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from playwright.sync_api import Browser, Page, sync_playwright

from bhpvas.data.dataset import Dataset
from bhpvas.model.classifier import Classifier, load_classifier
from tests.browser.chromium import launch
from tests.browser.server import serving
from tests.browser.workbench import Workbench
from tests.tiny import save_tiny

# A test says what is true, not how fast the machine is.
settings.register_profile("bhpvas", deadline=None)
settings.load_profile("bhpvas")

TEXTS = (
    "the film is good .",
    "a dull , long book !",
    "we like this hotel and the meal is great",
    "not good",
    "it was never a very good phone , but they like it .",
    "awful",
    "i hate that film , you love it ?",
    "this short book is fine and the long film is not",
    "the meal was very bad",
    "great phone",
    "they loved the long , dull , awful film , but we hate it !",
    "a fine hotel",
)


def tiny_dataset(classes: int = 2) -> Dataset:
    """Twelve sentences of 3 to 15 tokens with labels in turn."""
    names = ("negative", "positive") if classes == 2 else tuple(map(str, range(classes)))
    return Dataset(
        name="tiny",
        texts=TEXTS,
        pairs=None,
        labels=np.arange(len(TEXTS)) % classes,
        label_names=names,
        tags=tuple("even" if index % 2 == 0 else "odd" for index in range(len(TEXTS))),
    )


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder where the app keeps work, instead of the one of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BHPVAS_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A random two-layer, four-head BERT classifier."""
    return load_classifier(save_tiny(tmp_path_factory.mktemp("tiny-bert")))


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Twelve labelled sentences in the tiny vocabulary."""
    return tiny_dataset()


@pytest.fixture(scope="session")
def kept_results(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For the environment of a server: it keeps results where all of this run's servers do.

    As the app does by default. So the first page of each finds what it shows, computed once.
    """
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return {"HF_HUB_OFFLINE": "1", "BHPVAS_CACHE": str(shared / "kept-results")}


@pytest.fixture(scope="session")
def address(kept_results: dict[str, str]) -> Iterator[str]:
    """A running app, one for all tests; nothing is fetched, so a hub id can only be unknown."""
    with serving(kept_results) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, which each test opens pages of its own in."""
    with sync_playwright() as playwright, launch(playwright) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of a laptop's size."""
    found = browser.new_page(viewport={"width": 1440, "height": 900})
    yield found
    found.close()


@pytest.fixture(scope="module")
def one_page(browser: Browser, address: str) -> Workbench:
    """The page that the tests of a module open the app in, one after the other.

    A page that has the app's scripts already opens it in a third of the processor's time.
    """
    return Workbench(browser.new_page(), address)


@pytest.fixture
def app(one_page: Workbench, address: str) -> Iterator[Workbench]:
    """The app, to be opened on a page of a laptop's size, in light colours."""
    one_page.address = address
    one_page.page.set_viewport_size({"width": 1440, "height": 900})
    one_page.page.emulate_media(color_scheme="light")
    yield one_page
    # Streamlit remembers there whether the sidebar is folded; a page that is not open has none.
    one_page.page.evaluate("() => { try { localStorage.clear(); } catch {} }")
    one_page.page.goto("about:blank")


@pytest.fixture
def workbench(app: Workbench) -> Iterator[Workbench]:
    """The app, opened on the sample; nothing may have gone wrong in the browser by the end."""
    app.open()
    app.settle()
    yield app
    assert app.complaints() == []
