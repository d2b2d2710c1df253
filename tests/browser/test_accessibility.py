"""Every page in Chromium: what axe and the page's policy find, whether it fits, and how long it is on a telephone."""

from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import httpx
import pytest

from tests.browser.conftest import DESK, TELEPHONE
from tests.browser.test_dead_letters import DEAD
from tests.browser.test_policy import is_no_page, kind
from tests.chaos.profile import FULL
from tests.conftest import need

pytestmark = pytest.mark.process

AXE = Path(__file__).parents[1] / "acceptance" / "node" / "node_modules" / "axe-core" / "axe.min.js"
NEEDED = "axe-core (npm install in tests/acceptance/node)"
# Pages that no link leads to.
MISSING = "/admin/nothing/"
FOUND = "/admin/streams/stream/find/?q=seen-by-axe"
UNLINKED = ["/admin/login/", MISSING, FOUND, "/admin/streams/stream/add/", "/admin/password_change/"]
# Each page is looked at in one of these, and in the full run in all: in each turn, a page has another.
WINDOWS = [(width, scheme) for scheme in ("light", "dark") for width in (TELEPHONE, DESK, 1920)]
# In one window: a page that is open is drawn anew for another.
IN_A_ROW = 12
LONGEST = 3_000
# The last words of addresses whose pages differ only in the name of what they are about.
OF_ONE_KIND = ("history", "delete", "move", "pause")
# Rules whose findings are never serious do not run.
FIND = """async () => {
    const light = axe._audit.rules.filter((rule) => ["minor", "moderate"].includes(rule.impact));
    const rules = Object.fromEntries(light.map((rule) => [rule.id, { enabled: false }]));
    const found = await axe.run(document, { resultTypes: ["violations"], rules, selectors: false });
    return found.violations
        .filter((each) => ["serious", "critical"].includes(each.impact))
        .map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}"""


@pytest.fixture(scope="package")
def furnished(hub):
    """The hub with one of everything that pages show: an event, a dead letter, a key, a pulled group."""
    for event_type in ("seen-by-axe", "too"):
        event = {"event_type": event_type, "source": "me", "request_id": "seen-by-axe"}
        httpx.post(f"{hub.url}/events/agi-decisions", json=event)
    httpx.post(f"{hub.url}/events/inference-events", json={"event_type": "inference-complete", "latency_ms": "fast"})
    httpx.post(f"{hub.url}/services/helox/keys", json={"label": "seen by axe"})
    httpx.post(f"{hub.url}/v1/read", json={"stream": "agi-decisions", "consumer_group": "axe", "consumer_name": "a"})
    with hub.redis() as redis:
        redis.xadd(DEAD, {"id": "1795432838408-0", "err": "no table", "att": 10, "first": 1795432838408})
        yield hub
        redis.delete(DEAD)


@pytest.mark.product("turn")
@pytest.mark.parametrize("turn", range(len(WINDOWS)))
def test_each_page_fits_the_window_and_keeps_its_policy_and_axe_finds_nothing_serious(open_at, furnished, turn):
    need(AXE.exists(), NEEDED)
    window = open_at(DESK)
    page = window.page
    page.add_init_script(path=AXE)
    waiting, seen, found = ["/admin/", *UNLINKED], {alike(address) for address in ("/admin/", *UNLINKED)}, {}
    looked_at = 0

    while waiting:
        address = waiting.pop()
        if has_form_to_change(address, seen):
            continue
        width, scheme = WINDOWS[(turn + looked_at // IN_A_ROW) % len(WINDOWS)]
        if looked_at % IN_A_ROW == 0:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
        looked_at += 1
        answer = page.goto(f"{furnished.url}{address}", wait_until="load")
        for link in page.eval_on_selector_all("a[href]", "links => links.map(link => link.href.baseVal ?? link.href)"):
            linked = urldefrag(link)[0].removeprefix(furnished.url)
            if linked.startswith("/admin/") and not is_no_page(linked) and alike(linked) not in seen:
                seen.add(alike(linked))
                # When a form to add comes last, it is known whether there is one to change.
                waiting.insert(0 if is_form_to_add(linked) else len(waiting), linked)
        wrong = page.evaluate(FIND)
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        if answer.status != (404 if address == MISSING else 200):
            wrong.append(f"answers {answer.status}")
        if size[0] > width:
            wrong.append(f"{size[0]} px wide")
        if width == TELEPHONE and size[1] > LONGEST and address.endswith("/") and is_list(address):
            wrong.append(f"{size[1]} px high")
        if wrong:
            found[f"{address} ({width} px, {scheme})"] = wrong
    # The browser itself notes the answer 404.
    window.complaints = [each for each in window.complaints if MISSING not in each]

    assert found == {}, "\n".join(f"{address}: {each}" for address, wrong in found.items() for each in wrong)
    assert looked_at > 60


@pytest.mark.product("turn")
@pytest.mark.parametrize("turn", range(len(WINDOWS)))
def test_the_page_of_the_api_shows_every_operation_fits_the_window_and_axe_finds_nothing_serious(open_at, turn):
    need(AXE.exists(), NEEDED)
    width, scheme = WINDOWS[turn]
    window = open_at(width, scheme=scheme)

    window.open("/docs")
    operation = window.page.get_by_text("/events/{stream}/validate").first
    operation.wait_for()
    window.page.evaluate(AXE.read_text())

    assert window.page.evaluate(FIND) == []
    assert window.too_wide <= 0
    operation.click()
    window.page.get_by_role("button", name="Try it out").wait_for()


def alike(address):
    """Return the kind of a page. Except in the full run, the last word is all that counts of those of `OF_ONE_KIND`."""
    found = kind(address)
    return found if FULL or found[-2] not in OF_ONE_KIND else found[-2:]


def is_form_to_add(address):
    return kind(address)[-2] == "add"


def has_form_to_change(address, seen):
    """Say whether a page is a form to add what `seen` has a form to change of, which is left to the full run."""
    is_left = is_form_to_add(address) and address not in UNLINKED and not FULL
    return is_left and (*kind(address)[:-2], "#", "change", "") in seen


def is_list(address):
    """Say whether a page is a list of definitions, such as `/admin/streams/stream/`, or of events."""
    path = urlsplit(address).path.strip("/")
    return len(path.split("/")) == 3 or path.endswith("/explorer")


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
