"""A real Chromium on a real hub: its user is logged in, and any complaint of the browser fails the test."""

import shutil
from collections.abc import Iterator

import pytest

from tests.acceptance.hub import ADMIN_PASSWORD, Hub, running_hub
from tests.conftest import need
from tests.ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# One process draws all pages of a server: it compiles their scripts once, and not anew for each window.
OPTIONS = ["--disable-dev-shm-usage", "--disable-gpu", "--process-per-site"]
DESK, TELEPHONE = 1280, 390
# Origins of pages that are not the hub's: the guide's two front ends, and others.
THE_GUIDES = ["http://localhost:5173", "http://localhost:5175"]
OTHERS = ["http://localhost:5174", "http://evil.example:5173", "http://localhost.evil.example:5173"]
FRONT_ENDS = [*THE_GUIDES, *OTHERS]


def at_both_widths(test):
    """Have a test of a page done on a desk or on a telephone, and in the full run on both."""
    return pytest.mark.product("width")(pytest.mark.parametrize("width", [DESK, TELEPHONE])(test))


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub of the platform's catalog, whose contracts these tests change."""
    with running_hub(tmp_path_factory.mktemp("hub-of-browser")) as running:
        yield running


@pytest.fixture(scope="package")
def port_of_front_ends() -> int:
    """The port of this machine to which Chromium goes for any address in `FRONT_ENDS`."""
    return free_port()


@pytest.fixture(scope="package")
def chromium(port_of_front_ends: int) -> Iterator[object]:
    """Debian's Chromium, driven by Playwright, which downloads none of its own.

    It ends with the last test of this folder: as long as it lives, Django thinks that an event loop is running here.
    """
    need(CHROMIUM, "Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        rules = ", ".join(f"MAP {origin.partition('//')[2]} 127.0.0.1:{port_of_front_ends}" for origin in FRONT_ENDS)
        args = [*OPTIONS, f"--host-resolver-rules={rules}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def person(chromium, hub: Hub) -> Iterator[object]:
    """A logged-in person. All tests share the browser's cookies and cache, which saves most of the time."""
    context = chromium.new_context(reduced_motion="reduce")
    context.set_default_timeout(60_000)
    keep_open(context, f"{hub.url}/healthz")
    page = context.new_page()
    log_in(page, hub)
    page.close()
    yield context
    context.close()


def keep_open(context, url: str) -> None:
    """Keep a page of a server open, so that others open as tabs beside it, within the process that draws it.

    A page that is the only one gets a window of its own, for which Chromium draws menus in two further processes.
    """
    context.new_page().goto(url)


def log_in(page, hub: Hub) -> None:
    page.goto(f"{hub.url}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Streams").first.wait_for()


class Watched:
    """What a browser's page did and complained of."""

    def __init__(self, page, hub: Hub) -> None:
        self.page = page
        self.hub = hub
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("requestfailed", self._failed)

    def open(self, path: str) -> None:
        """Open a page of the hub, and wait until its scripts are done with it."""
        answer = self.page.goto(f"{self.hub.url}{path}", wait_until="load")
        assert answer.status == 200, f"{path} answers {answer.status}"

    def write(self, text: str) -> None:
        """Write a text in place of what stands in the editor."""
        self.page.locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    @property
    def text(self) -> str:
        return " ".join(self.page.locator("#main").inner_text().split())

    @property
    def too_wide(self) -> int:
        """How many pixels the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def check(self) -> None:
        """Fail for what the browser complained of, and for a request to anybody but the hub."""
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith((self.hub.url, "data:"))] == []

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _dialog(self, dialog) -> None:
        self.complaints.append(f"{self.page.url}: a dialog says {dialog.message}")
        dialog.dismiss()

    def _failed(self, request) -> None:
        # A page that is left stops what it was still fetching.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url}: {request.failure}")


@pytest.fixture
def open_at(person, hub: Hub) -> Iterator[object]:
    """Open a window: `open_at(390)`; what happened in it is checked in the end."""
    windows = []

    def opened(width: int, *, scheme: str = "light") -> Watched:
        page = person.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        windows.append(Watched(page, hub))
        return windows[-1]

    yield opened
    for window in windows:
        window.page.close()
        window.check()
