"""The app without a browser: how a test opens it, presses its buttons and reads its words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Multiselect

from bhpvas.ui.state.session import Session

SCRIPT = Path(__file__).resolve().parents[2] / "streamlit_app.py"


def fine(app: AppTest) -> AppTest:
    """The app, which shows no exception."""
    assert [box.value for box in app.exception] == []
    return app


def open_app(at: Session, page: str = "workbench", **state: Any) -> AppTest:
    """A page of the app on a session, with some of its widgets set; as it is once it settled."""
    app = AppTest.from_file(str(SCRIPT), default_timeout=120)
    for key, value in {"bhpvas": at, **state}.items():
        app.session_state[key] = value
    fine(app.run())
    return app if page == "workbench" else fine(app.switch_page(f"pages/{page}.py").run())


def session(app: AppTest) -> Session:
    return app.session_state["bhpvas"]


def press(app: AppTest, label: str) -> AppTest:
    """Press the one button with this label."""
    (button,) = [one for one in app.button if one.label == label]
    assert not button.disabled
    return fine(button.click().run())


def listed(app: AppTest, name: str) -> Multiselect:
    """The list of heads that is called so; its key says how often it was drawn anew."""
    (found,) = [one for one in app.multiselect if re.fullmatch(rf"{name}-\d+", str(one.key))]
    return found


def select(app: AppTest, heads: str) -> AppTest:
    """Select heads in the list, which is the keyboard's way."""
    return fine(listed(app, "heads").set_value(heads.split(",")).run())


def facts(app: AppTest) -> dict[str, str]:
    """The lines of the sidebar by their names."""
    text = "".join(html.value for html in app.html)
    found = re.findall(r'<span>([^<]+)</span><b id="[^"]+">(.+?)</b>', text)
    return {name: re.sub("<[^>]+>", "", value) for name, value in found}


def said(app: AppTest) -> str:
    """All prose on the page."""
    return "\n".join(one.value for one in [*app.markdown, *app.caption])


def open_dialog(app: AppTest) -> AppTest:
    return press(app, "Change model or data")


def use(app: AppTest) -> AppTest:
    return press(app, "Use these")
