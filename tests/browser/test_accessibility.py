"""Every page in Chromium: what axe finds, whether it fits, and how long it is on a telephone."""

from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import httpx
import pytest

from tests.browser.conftest import DESK, TELEPHONE
from tests.browser.test_dead_letters import DEAD
from tests.browser.test_policy import is_no_page, kind
from tests.conftest import need

pytestmark = pytest.mark.process

AXE = Path(__file__).parents[1] / "acceptance" / "node" / "node_modules" / "axe-core" / "axe.min.js"
# Pages that no link leads to.
UNLINKED = ["/admin/login/", "/admin/nothing/", "/admin/streams/stream/add/", "/admin/password_change/", "/docs"]
LONGEST = 3_000
FIND = """async () => {
    const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations
        .filter((each) => ["serious", "critical"].includes(each.impact))
        .map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}"""


@pytest.fixture(scope="package")
def furnished(hub):
    """The hub with one of everything that pages show: an event, a dead letter, a key, a pulled group."""
    httpx.post(f"{hub.url}/events/agi-decisions", json={"event_type": "seen-by-axe", "source": "me"})
    httpx.post(f"{hub.url}/services/helox/keys", json={"label": "seen by axe"})
    httpx.post(f"{hub.url}/v1/read", json={"stream": "agi-decisions", "consumer_group": "axe", "consumer_name": "a"})
    with hub.redis() as redis:
        redis.xadd(DEAD, {"id": "1795432838408-0", "err": "no table", "att": 10, "first": 1795432838408})
        yield hub
        redis.delete(DEAD)


@pytest.fixture(scope="package")
def addresses(person, furnished) -> list[str]:
    """One address of each kind of page that links lead to from the overview."""
    page = person.new_page()
    waiting, seen = ["/admin/", *UNLINKED], {kind(address): address for address in ["/admin/", *UNLINKED]}
    while waiting:
        page.goto(f"{furnished.url}{waiting.pop()}")
        for link in page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)"):
            address = urldefrag(link)[0].removeprefix(furnished.url)
            bare = urlsplit(address).path
            if address.startswith("/admin/") and not is_no_page(address) and kind(address) not in seen:
                seen[kind(address)] = address if "?" in address else bare
                waiting.append(address)
    page.close()
    return sorted(seen.values())


@pytest.mark.product("width", "scheme")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [TELEPHONE, DESK, 1920])
def test_axe_finds_nothing_serious_on_any_page_and_each_fits_the_window(person, addresses, hub, width, scheme):
    need(AXE.exists(), "axe-core (npm install in tests/acceptance/node)")
    axe = AXE.read_text(encoding="utf-8")
    page = person.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    found = {}

    for address in addresses:
        page.goto(f"{hub.url}{address}", wait_until="load")
        page.evaluate(axe)
        wrong = page.evaluate(FIND)
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        if size[0] > width:
            wrong.append(f"{size[0]} px wide")
        if width == TELEPHONE and size[1] > LONGEST and address.endswith("/") and is_list(address):
            wrong.append(f"{size[1]} px high")
        if wrong:
            found[address] = wrong
    page.close()

    assert found == {}, "\n".join(f"{address}: {each}" for address, wrong in found.items() for each in wrong)
    assert len(addresses) > 40


def is_list(address):
    """Say whether a page is a list of definitions, such as `/admin/streams/stream/`."""
    return len(urlsplit(address).path.strip("/").split("/")) == 3


def test_the_navigation_fits_a_window_of_900_pixels(open_at):
    window = open_at(DESK)
    window.open("/admin/")

    hidden = window.page.evaluate(
        """() => {
            const part = document.querySelector("#nav-sidebar-apps .simplebar-content-wrapper") ??
                document.querySelector("#nav-sidebar-apps");
            return part.scrollHeight - part.clientHeight;
        }"""
    )

    assert hidden <= 0
