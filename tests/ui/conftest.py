"""Fixtures of the app without a browser: a tiny model, and the app opened on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import Session
from tests.tiny import save_tiny
from tests.ui.driver import open_app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-app"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def app(folder: Path, tiny: Classifier, dataset: Dataset) -> AppTest:
    """The app on the tiny model, opened and settled."""
    return open_app(
        Session(
            model=str(folder),
            data=Splits(dataset, dataset, "by hand"),
            scheme=Scheme.of(tiny),
        )
    )
