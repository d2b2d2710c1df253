"""Renders the overview as of a given time. Run with a time, it prints the processor time of a process's first two
renderings.
"""

import json
import sys
import time
from typing import Any
from unittest import mock

import django

OVERVIEW = "/admin/"


def client(person: Any = None) -> Any:
    """Return a test client that is logged in with all permissions."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - needs Django, as all imports here
    from django.test import Client  # noqa: PLC0415

    found = Client(headers={"host": "127.0.0.1"})
    found.force_login(person or get_user_model().objects.first(), "django.contrib.auth.backends.ModelBackend")
    return found


def make(client: Any, moment: float, address: str = OVERVIEW) -> float:
    """Render a page as of a time in seconds since 1970, and return the processor time in seconds."""
    with mock.patch("time.time", return_value=moment):
        begun = time.process_time()
        page = client.get(address)
        used = time.process_time() - begun
    assert page.status_code == 200, page.content[:300]
    return used


if __name__ == "__main__":
    django.setup()
    # The web server does this, too, when it starts.
    from synapse.runtime.process import tune_garbage_collector
    from synapse_project.front_door import load_views, prepare_pages

    load_views()
    tune_garbage_collector()
    prepare_pages()
    browser = client()
    browser.handler.load_middleware()
    print(json.dumps([make(browser, float(sys.argv[1])) for _ in range(2)]))
