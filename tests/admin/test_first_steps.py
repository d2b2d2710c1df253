"""The first steps on the overview: from real state, until all are done."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core import audit
from core.models import AuditEntry
from synapse.auth.principal import Principal
from tests.admin.pages import text_of
from tests.definitions import define

CATALOG = Principal(kind="system", name="catalog")


@pytest.fixture
def steps(admin_client, redis):
    """Return which of the steps are done, None when they are not shown any more."""
    audit.record(CATALOG, "create", define("orders", {"order-placed": {}}))

    def of_times():
        values = admin_client.get("/admin/").context["parts"][0]["values"]
        return [step.is_done for step in values["steps"]] or None

    return of_times


def test_first_steps_are_ticked_when_they_are_done_and_disappear_together(steps, redis, admin_client):
    assert steps() == [False, False, False]

    redis.xadd("orders", {"event_type": "order-placed"})
    assert steps() == [True, False, False]
    redis.xgroup_create("orders", "somebody", "0")
    assert steps() == [True, True, False]
    audit.record(Principal(kind="person", name="anna"), "create", define("parcels"))

    assert steps() is None
    assert "First steps" not in text_of(admin_client.get("/admin/"))


def test_a_stream_that_a_catalog_file_defines_later_completes_the_step(steps):
    audit.record(CATALOG, "create", define("parcels"))
    assert steps()[2] is False

    AuditEntry.objects.filter(target="stream parcels").update(at=timezone.now() + timedelta(hours=1))

    assert steps()[2] is True


@pytest.mark.parametrize(("access", "has_key"), [("open", False), ("required", True)])
def test_commands_publish_and_read_the_first_event_type(steps, admin_client, settings, access, has_key):
    settings.AUTH = access

    publish, read, define_own = admin_client.get("/admin/").context["parts"][0]["values"]["steps"]

    assert "/events/orders" in publish.command
    assert '"event_type": "order-placed"' in publish.command
    assert '"stream": "orders"' in read.command
    assert ("Authorization" in publish.command, "Authorization" in read.command) == (has_key, has_key)
    assert define_own.url == "/admin/streams/stream/add/"


def test_steps_are_open_again_once_the_database_was_emptied(steps, redis):
    redis.xadd("orders", {"event_type": "order-placed"})
    assert steps() == [True, False, False]
    redis.flushdb()
    assert steps() == [True, False, False]

    AuditEntry.objects.all().delete()
    audit.record(CATALOG, "create", define("parcels"))

    assert steps() == [False, False, False]
