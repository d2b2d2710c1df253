"""Contracts in a real browser: the verdict on a schema while it is written, and activating it."""

import json

import httpx
import pytest

from tests.browser.conftest import DESK, TELEPHONE, at_both_widths
from tests.browser.test_admin import id_of

pytestmark = pytest.mark.process

SUBJECT = "inference-events.inference-complete"
# What the theme needs beside our own files: its library compiles what templates say.
STRICT = "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


def under_a_strict_policy(window):
    """Let the browser refuse every script that is not a file of the hub's."""

    def answer(route):
        found = route.fetch()
        route.fulfill(response=found, headers={**found.headers, "content-security-policy": STRICT})

    window.page.route("**/change/", answer)


def schema_of(window):
    return json.loads(window.page.locator("textarea[name=schema]").input_value())


def verdict(window, outcome):
    """Wait until this is said below the editor."""
    found = window.page.locator(f".s-live-verdict .s-verdict[data-outcome={outcome}]")
    found.wait_for()
    return " ".join(found.inner_text().split())


@at_both_widths
def test_the_verdict_is_there_while_the_schema_is_written(open_at, hub, width):
    window = open_at(width)
    contract = id_of(hub, "contracts/contract", SUBJECT)
    under_a_strict_policy(window)

    window.open(f"/admin/contracts/contract/{contract}/change/")
    verdict(window, "compatible")
    schema = schema_of(window)

    window.write('{\n  "type": "objekt"\n}')
    assert "line 2 /type" in verdict(window, "invalid")

    schema["required"].append("tenant")
    window.write(json.dumps(schema, indent=2))
    said = verdict(window, "incompatible")
    assert "“tenant”" in said
    assert "Version 1 accepts this, the new schema does not:" in said
    window.page.locator(".s-witness pre .tok-propertyName").first.wait_for()
    assert window.too_wide == 0

    window.page.locator(".s-jump").last.click()
    assert window.page.evaluate("document.activeElement.classList.contains('cm-content')")

    schema["required"].remove("tenant")
    schema["properties"]["tenant"] = {"type": "string"}
    window.write(json.dumps(schema, indent=2))
    assert "1 change that the lenient policy lets pass" in verdict(window, "compatible")


@at_both_widths
def test_an_activation_is_refused_with_a_witness_and_the_rules_can_be_looked_at(open_at, hub, width):
    window = open_at(width)
    contract = id_of(hub, "contracts/contract", SUBJECT)
    window.open(f"/admin/contracts/contract/{contract}/change/")
    schema = schema_of(window)
    schema["required"] = sorted({*schema["required"], "tenant"})
    schema["title"] = f"Inference complete, {width}"

    window.write(json.dumps(schema, indent=2))
    window.page.get_by_role("button", name="Activate…").click()
    window.page.get_by_role("heading", name="cannot be activated").wait_for()

    assert "Version 1 accepts this, the new schema does not:" in window.text
    assert window.page.get_by_role("button", name="Activate", exact=True).count() == 0
    assert window.too_wide == 0
    window.page.get_by_role("link", name="what the contract protects").click()
    window.page.get_by_label("Compatibility").wait_for()
    assert window.too_wide == 0


@at_both_widths
def test_a_draft_is_tested_on_real_events_and_another_is_made_of_them(open_at, hub, width):
    window = open_at(width)
    name = {DESK: "model-loaded", TELEPHONE: "inference-error"}[width]
    event_type = id_of(hub, "streams/eventtype", name)
    window.open(f"/admin/streams/eventtype/{event_type}/publish/")
    example = json.loads(window.page.locator("textarea").first.input_value())
    httpx.post(f"{hub.url}/events/inference-events", json=example).raise_for_status()
    contract = id_of(hub, "contracts/contract", f"inference-events.{name}")
    window.open(f"/admin/contracts/contract/{contract}/change/")
    schema = schema_of(window)
    schema["required"].append("tenant")
    window.write(json.dumps(schema, indent=2))
    window.page.get_by_role("button", name="Save draft").click()

    window.page.get_by_role("link", name="Back-test the draft…").click()
    window.page.get_by_role("button", name="Test the draft").click()
    window.page.get_by_text("It would refuse 1 of 1 event").wait_for()
    assert "The event must have the property “tenant”." in window.text
    assert window.too_wide == 0

    window.open(f"/admin/streams/eventtype/{event_type}/draft/")
    window.page.get_by_role("button", name="Propose").click()
    window.page.get_by_role("heading", name="What it changes of version 1").wait_for()
    assert window.too_wide == 0
    window.page.get_by_label("Replace the draft").check()
    window.page.get_by_role("button", name="Save as draft").click()
    window.page.get_by_text(f"Saved as the draft of “inference-events.{name}”").wait_for()


@at_both_widths
def test_the_pages_of_a_version_fit_and_give_files(open_at, hub, width):
    window = open_at(width)
    contract = id_of(hub, "contracts/contract", "training-events.training-started")

    for path in ("versions/1/delete/", "versions/1/"):
        window.open(f"/admin/contracts/contract/{contract}/{path}")
        assert window.too_wide == 0, path

    for link, name in (("Download schema", "schema.json"), ("Python code", ".py")):
        with window.page.expect_download() as download:
            window.page.get_by_role("link", name=link).click()
        assert download.value.suggested_filename.endswith(name)
