"""A contract that is changed with the forms of the admin is obeyed by the next publish."""

import json
import re

import httpx
import pytest

from tests.acceptance.hub import ADMIN_PASSWORD
from tests.patience import eventually

pytestmark = pytest.mark.process


@pytest.fixture
def admin(hub):
    """A person logged in to the admin."""
    with httpx.Client(base_url=hub.url, follow_redirects=True) as browser:
        submit(browser, "/admin/login/", username="admin", password=ADMIN_PASSWORD)
        yield browser


def submit(browser, page, **fields):
    """Open a page's form, fill it in and send it."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(page).text)[1]
    return browser.post(page, data={"csrfmiddlewaretoken": token, **fields}, headers={"referer": str(browser.base_url)})


def contract_id(browser, subject):
    page = browser.get("/admin/contracts/contract/", params={"q": subject}).text
    return re.search(rf"/admin/contracts/contract/(\d+)/change/[^>]*>\s*{re.escape(subject)}\s*<", page)[1]


def test_a_contract_changed_in_the_admin_is_obeyed_by_the_next_publish(hub, admin):
    event = {"event_type": "user-action", "user_id": "user_42", "action": "login"}
    assert httpx.post(f"{hub.url}/events/platform-events", json=event).status_code == 201
    schema = json.dumps({"required": ["event_type", "session_id"]})
    # The schema requires more than before: switch the check off first.
    httpx.put(f"{hub.url}/registry/config/platform-events.user-action", json={"compatibility": "NONE"})

    id_ = contract_id(admin, "platform-events.user-action")
    asked = submit(admin, f"/admin/contracts/contract/{id_}/change/", description="", schema=schema, _activate="")
    digest = re.search(r'name="digest" value="(\w+)"', asked.text)[1]
    done = submit(admin, f"/admin/contracts/contract/{id_}/activate/", digest=digest)

    assert done.status_code == 200
    refused = eventually(
        lambda: (answer := httpx.post(f"{hub.url}/events/platform-events", json=event)).status_code == 422 and answer,
    )
    assert refused.json()["contract_version"] == 2
    assert "session_id" in refused.json()["violations"][0]["message"]
