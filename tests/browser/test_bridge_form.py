"""A bridge's form in a real browser, with the keyboard alone."""

import pytest

from tests.browser.conftest import DESK
from tests.browser.test_admin import id_of

pytestmark = pytest.mark.process

FOCUSED = "document.activeElement.id === 'id_config-webhook-url'"
OFFERED = "document.querySelectorAll('#id_event_types_options option').length > 1"


def test_a_bridge_is_written_with_the_keyboard_and_the_first_error_has_the_focus(open_at, hub):
    window = open_at(DESK)
    page = window.page
    stream = id_of(hub, "streams/stream", "model-events")
    window.open(f"/admin/bridges/bridge/add/?stream={stream}")

    url = page.locator("#id_config-webhook-url")
    assert not url.is_visible()
    page.get_by_role("radio", name="Webhook").press("Space")
    assert url.is_visible()
    page.locator("#id_name").press_sequentially("by-keyboard")
    typed = page.get_by_label("Add to: Event types")
    typed.focus()
    page.wait_for_function(OFFERED)
    page.keyboard.type("model-ready,model-updated")
    page.keyboard.press("Enter")
    chips = page.locator(".s-chip-box .s-chip")
    assert chips.count() == 2
    page.keyboard.press("Backspace")
    assert chips.count() == 1
    page.locator(".field-filters [data-add-row]").press("Enter")
    page.keyboard.type("accuracy")
    page.get_by_role("button", name="Save", exact=True).press("Enter")

    page.get_by_text("is missing").first.wait_for()
    page.wait_for_function(FOCUSED)
    assert chips.count() == 1
    assert page.locator("[name=event_types]").input_value() == "model-ready"
    assert page.locator(".field-filters [data-row]").count() == 2
    assert window.too_wide == 0
