"""Dead letters in a real browser: looked at, redriven with a bar that moves, without a complaint."""

import pytest

from tests.browser.conftest import DESK, at_both_widths
from tests.patience import eventually

pytestmark = pytest.mark.process

DEAD, PAGES = "syn:{training-events}:dlq:synapse-archive", "/admin/bridges/bridge/dead-letters/"
HOSTILE = "<script>alert(1)</script>"


def netstrings(*parts):
    return b"".join(b"%d:%s," % (len(part), part) for part in parts)


@pytest.fixture
def dead(hub):
    """Dead letters of a bridge that works again: more than a part, as its scripts would have left them."""
    with hub.redis() as redis, redis.pipeline() as pipe:
        # The pages that other tests look at have some, too.
        pipe.delete(DEAD)
        for n in range(600):
            body = netstrings(b"event_type", b"dataset-%d" % n, b"note", HOSTILE.encode())
            attempt = netstrings(b"1795432838408 10 12 " + HOSTILE.encode())
            fields = {"id": f"1795432838408-{n}", "body": body, "err": f"no table {n} {HOSTILE}", "att": 10}
            times = {"first": 1795432838408, "last": 1795432898408}
            pipe.xadd(DEAD, {**fields, "hist": attempt, **times})
        pipe.execute()
        yield redis
        redis.delete(DEAD)


@at_both_widths
def test_all_are_redriven_with_a_bar_and_delivered(open_at, dead, width):
    window = open_at(width)
    page = window.page

    window.open(PAGES)
    page.get_by_role("link", name="synapse-archive").click()
    page.get_by_role("heading", name="By error").wait_for()
    assert "no table N <script>alert(N)</script>" in window.text
    assert window.too_wide == 0
    page.get_by_role("link", name="Redrive all…").click()
    page.get_by_role("heading", name="Redrive 600 dead letters").wait_for()
    assert window.too_wide == 0
    page.get_by_label("How many a second").fill("none")
    page.get_by_role("button", name="Redrive", exact=True).click()
    page.get_by_text("“rate” is the number of dead letters a second").wait_for()
    # The browser itself notes an answer with the status 400.
    window.complaints.clear()
    page.get_by_label("How many a second").fill("")
    page.get_by_role("button", name="Redrive", exact=True).click()
    page.get_by_text("600 dead letters will be delivered again.").wait_for()

    assert dead.xlen(DEAD) == 0
    eventually(lambda: dead.zcard("syn:{training-events}:due:synapse-archive") == 0)


def test_a_dead_letter_is_edited_checked_and_discarded(open_at, dead):
    window = open_at(DESK)
    page = window.page

    window.open(PAGES)
    page.get_by_role("link", name="synapse-archive").click()
    page.locator(".s-selection a").first.click()
    page.get_by_role("heading", name="Event", exact=True).wait_for()
    window.write('{"event_type": 3}')
    page.get_by_role("button", name="Only check").click()
    page.get_by_text("The edited event would not be published now.").wait_for()
    page.get_by_role("link", name="Discard…").click()
    page.get_by_label("Reason").fill("a test")
    page.get_by_role("button", name="Discard", exact=True).click()

    page.get_by_text("1 dead letter discarded.").wait_for()
    assert dead.xlen(DEAD) == 599
