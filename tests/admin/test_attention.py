"""Bridges that need attention, on the first page: what is wrong, since when, and the page that helps."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from bridges import auto_disable, groups
from bridges.models import Bridge
from bridges.snapshot import definition_of
from contracts.models import ContractVersion
from core.admin.home import LATEST
from core.models import AuditEntry
from streams import connections
from synapse.auth.principal import Principal
from synapse.delivery.status import Status, pack
from synapse.redis import keyspace
from synapse.redis.commands import participants
from synapse.statistics.sampler import Sampler
from tests.admin.pages import text_of
from tests.definitions import define

OPERATOR = Principal(kind="person", name="olga")


@pytest.fixture
def bridge(redis, db):
    return Bridge.objects.create(name="to-shop", stream=define("orders"), group="shop", sink="console")


def report(bridge, **status):
    words = pack(Status(**{"state": "running", "since": 1.0, **status}))
    connections.executor().execute([participants.report("orders", bridge.group, "host:1", words, keep_ms=60_000)])


def age_report(redis, bridge, seconds):
    """Let the last report be from so many seconds ago, with as much time left as it has then."""
    key = keyspace.reports("orders", bridge.group)
    at, _, words = redis.hget(key, "host:1").partition(b" ")
    redis.hset(key, "host:1", b"%d %s" % (int(at) - seconds * 1000, words))
    assert redis.pexpire(key, redis.pttl(key) - seconds * 1000)


def attention(client):
    """Return what the part of the first page says, and its links by their words."""
    page = client.get("/admin/")
    html = re.search(r'<section aria-labelledby="attention".*?</section>', page.content.decode(), re.DOTALL)[0]
    links = {words: address for address, words in re.findall(r'<a[^>]*href="([^"]+)"[^>]*>([^<]+)</a>', html)}
    page.content = html.encode()
    return text_of(page), links


def test_a_bridge_that_runs_needs_no_attention(admin_client, bridge):
    report(bridge)

    text, links = attention(admin_client)

    assert "to-shop" not in text
    assert links == {}


@pytest.mark.parametrize("seconds", [25, 3_600])
def test_a_bridge_whose_process_is_gone_is_stopped_since_its_last_report(admin_client, redis, bridge, seconds):
    report(bridge)
    age_report(redis, bridge, seconds)

    text, links = attention(admin_client)

    assert "stopped to-shop does not run: no process delivers its events" in text
    assert "for 25 s" in text if seconds == 25 else "for 1 h" in text
    assert links["Bridge"] == f"/admin/bridges/bridge/{bridge.pk}/statistics/"


def test_a_bridge_whose_process_is_gone_is_stopped_since_the_last_heartbeat_of_the_process(admin_client, redis, bridge):
    report(bridge)
    age_report(redis, bridge, 50)
    connections.executor().execute([participants.store_heartbeat("host", keep_ms=10_000)])
    (at,) = redis.hvals(keyspace.PROCESSES)
    redis.hset(keyspace.PROCESSES, "host", b"%d " % (int(at.split()[0]) - 25_000))

    assert "does not run: no process delivers its events for 25 s" in attention(admin_client)[0]


def test_a_bridge_that_no_process_ever_reported_on_is_stopped_without_a_time(admin_client, bridge):
    text, _ = attention(admin_client)

    assert "stopped to-shop does not run" in text
    assert " for " not in text


@pytest.mark.parametrize(
    ("state", "said"),
    [("failed", "failing to-shop cannot run: no such host"), ("waiting", "waiting to-shop waits: no")],
)
def test_a_bridge_that_cannot_run_or_waits_shows_the_reason_and_the_time(admin_client, bridge, state, said):
    report(bridge, state=state, reason="no such host", since=1.0)

    text, links = attention(admin_client)

    assert said in text
    assert re.search(r"for [\d ]+ d Bridge Pause, test", text)
    assert links["Pause, test"] == f"/admin/bridges/bridge/{bridge.pk}/change/"


def test_a_reason_that_quotes_events_is_hidden_from_people_who_may_not_see_payloads(client_who_may, bridge):
    report(bridge, state="failed", reason="4711 is no number")

    text, _ = attention(client_who_may("streams.view_stream", "bridges.view_bridge"))

    assert "failing to-shop cannot run: The error is shown only with" in text
    assert "4711" not in text


def test_a_paused_bridge_is_named_with_the_person_and_the_way_to_resume_it(admin_client, bridge):
    report(bridge, state="paused")
    groups.pause("orders", "shop", by=OPERATOR)

    text, links = attention(admin_client)

    assert re.search(r"paused to-shop is paused by person:olga: its events wait for \d+ s Bridge Resume", text)
    assert links["Resume"] == f"/admin/bridges/bridge/{bridge.pk}/change/"
    groups.resume("orders", "shop", by=OPERATOR)
    report(bridge)
    assert "paused" not in attention(admin_client)[0]


def test_a_bridge_that_was_paused_often_has_one_audit_entry_read(admin_client, bridge, monkeypatch):
    for _ in range(6):
        groups.pause("orders", "shop", by=OPERATOR)
        groups.resume("orders", "shop", by=OPERATOR)
    groups.pause("orders", "shop", by=Principal(kind="person", name="otto"))
    read = []
    from_db = AuditEntry.from_db
    monkeypatch.setattr(AuditEntry, "from_db", lambda *row: read.append(row) or from_db(*row))

    text, _ = attention(admin_client)

    assert "paused to-shop is paused by person:otto" in text
    # That one, those of the latest changes, and the one that tells how old the installation is.
    assert len(read) <= 1 + LATEST + 1


def test_a_bridge_that_disabled_itself_is_named_and_one_that_a_person_disabled_is_not(admin_client, bridge):
    auto_disable.disable_bridge(definition_of(bridge), "The receiver answered 410.")
    Bridge.objects.create(name="old", stream=bridge.stream, group="old", sink="console", enabled=False)

    text, _ = attention(admin_client)

    assert "stopped to-shop was disabled: The receiver answered 410." in text
    assert "old" not in text


@pytest.fixture
def sample(redis):
    """Take a sample of the stream, five seconds after the last one; the first was taken half a minute ago."""
    clock = [time.time() - 30]
    sampler = Sampler(connections.executor, lambda: ["orders"], clock=lambda: clock[0])

    def taken():
        assert sampler.step()
        clock[0] += 5

    return taken


def test_a_failing_group_shows_the_kinds_of_its_failures_and_links_to_its_bridge(admin_client, redis, bridge, sample):
    report(bridge)
    redis.xgroup_create("orders", "shop", "$", mkstream=True)
    sample()
    failures = {"retried": 3, "failed:timeout": 1, "failed:connection": 2}
    redis.hset(keyspace.counters("orders", "shop"), mapping=failures)
    sample()

    text, links = attention(admin_client)

    assert "failing orders / shop 3 attempts failed in the last two minutes: connection" in text
    assert links.keys() == {"orders / shop", "Bridge", "Pause, test", "Manage", "Dead letters"}


def test_a_stream_that_refuses_violations_links_to_the_contract_that_was_changed_last(admin_client, redis, sample):
    stream = define("orders", {"order-placed": {"required": ["n"]}, "order-sent": {"required": ["n"]}, "other": None})
    activated = datetime.now(UTC) - timedelta(minutes=3)
    of_sent = ContractVersion.objects.filter(contract__subject="orders.order-sent")
    ContractVersion.objects.update(activated_at=activated - timedelta(days=1))
    of_sent.update(activated_at=activated)
    sample()
    redis.hset(keyspace.stats("orders"), "refused:contract-violated", 2)
    sample()

    text, links = attention(admin_client)

    assert "refusing orders refused 2 events in the last two minutes: contract-violated. " in text
    assert "The contract orders.order-sent was changed 3 min ago" in text
    assert links["Contract"] == f"/admin/contracts/contract/{of_sent.get().contract_id}/change/"
    assert links["Definition"] == f"/admin/streams/stream/{stream.pk}/change/"
    assert links["Refusals"] == f"/admin/streams/stream/{stream.pk}/refusals/"


def test_a_person_who_may_not_view_bridges_sees_none_among_the_findings(client_who_may, bridge):
    assert "to-shop" not in attention(client_who_may("streams.view_stream"))[0]
