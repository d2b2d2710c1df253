"""The first read creates the group: a bridge that needs no process to run it."""

import pytest
from django.db import OperationalError

from bridges import snapshot
from bridges.models import Bridge
from bridges.pull import groups
from core.models import AuditEntry
from streams.models import Stream
from synapse.catalog.bridge_definitions import PULL
from synapse.runtime.repeated_failures import RepeatedFailures
from tests.pull.cast import GROUP, STREAM

# The event loop's threads see what is committed, and nothing else.
pytestmark = pytest.mark.django_db(transaction=True)


def test_the_first_read_of_a_group_begins_with_the_oldest_event(puller):
    worker = puller()
    ids = [worker.publish(n) for n in range(3)]

    assert worker.ids() == ids


def test_the_first_read_creates_a_bridge_and_records_it(puller):
    puller().read()

    row = Bridge.objects.get()
    assert (row.name, row.stream.name, row.group, row.sink) == (f"{STREAM}:{GROUP}", STREAM, GROUP, PULL)
    assert (row.lease_seconds, row.start, row.enabled) == (300, "beginning", True)
    assert AuditEntry.objects.filter(action="create", target=f"bridge {row.name}").count() == 1


def test_a_group_opened_by_a_read_is_durable(puller):
    puller().read()

    assert snapshot.holder.durable_groups() == {STREAM: {GROUP: "0"}}


def test_a_name_of_a_bridge_that_is_taken_or_too_long_is_replaced(puller, define):
    define("s" * 100)
    Bridge.objects.create(name=f"{STREAM}:{GROUP}", stream=Stream.objects.get(name=STREAM), group="x", sink=PULL)
    worker = puller()

    for stream in (STREAM, "s" * 100):
        answer = worker.post("read", stream=stream, consumer_group=GROUP, consumer_name="x", block_ms=0)
        assert answer.status == 200, answer.body

    names = [len(name) for name in Bridge.objects.values_list("name", flat=True)]
    assert len(names) == 3
    assert max(names) <= 100


def test_an_unknown_stream_gets_no_group(puller):
    for verb, members in (("read", {"consumer_name": "x"}), ("ack", {"entry_ids": ["1-1"]})):
        answer = puller().post(verb, stream="nowhere", consumer_group=GROUP, **members)
        assert (answer.status, answer.json["type"]) == (404, "urn:synapse:problem:unknown-stream")

    assert Bridge.objects.count() == 0


def test_publishing_to_an_unknown_stream_is_forbidden(puller):
    answer = puller().post("publish", stream="nowhere", event_type="x", payload={})

    assert (answer.status, "error" in answer.json) == (403, True)


@pytest.mark.parametrize("verb", ["nack", "extend"])
def test_a_group_that_was_never_created_is_unknown(puller, verb):
    answer = puller().post(verb, consumer_group=GROUP, entry_ids=["1-1"])

    assert (answer.status, answer.json["type"]) == (404, "urn:synapse:problem:unknown-group")


def test_a_group_beyond_the_limit_of_a_stream_is_refused(puller, monkeypatch):
    monkeypatch.setattr(groups, "MOST_GROUPS", 1)
    worker = puller()
    worker.read()

    answer = puller(group="another").post("read", consumer_group="another", consumer_name="x", block_ms=0)

    assert (answer.status, answer.json["type"]) == (409, "urn:synapse:problem:too-many-groups")
    assert worker.read() == []


def test_without_its_database_a_new_group_is_refused_and_one_in_use_is_served(puller, monkeypatch, caplog):
    worker = puller()
    worker.read()
    id_ = worker.publish(1)

    def away(*_, **__):
        raise OperationalError("the database is away")

    monkeypatch.setattr(groups, "_load_bridge", away)
    monkeypatch.setattr(groups, "_failures", RepeatedFailures())
    answers = [worker.post("read", consumer_group="another", consumer_name="x", block_ms=0) for _ in range(2)]

    for answer in answers:
        assert (answer.status, answer.json["type"]) == (503, "urn:synapse:problem:database-down")
        assert answer.headers["retry-after"] == "1"
    assert [record.getMessage() for record in caplog.records if record.name == groups.__name__] == [
        "the groups cannot be asked for: the database is away"
    ]
    assert worker.ids() == [id_]


def test_a_database_that_refuses_a_group_is_back_and_its_next_failure_is_logged(puller, monkeypatch, caplog):
    worker, row = puller(), groups._load_bridge
    monkeypatch.setattr(groups, "MOST_GROUPS", 0)
    monkeypatch.setattr(groups, "_failures", RepeatedFailures())

    def away(*_, **__):
        raise OperationalError("the database is away")

    for question, status in ((away, 503), (row, 409), (away, 503)):
        monkeypatch.setattr(groups, "_load_bridge", question)
        answer = worker.post("read", consumer_group="another", consumer_name="x", block_ms=0)
        assert answer.status == status

    assert [record.getMessage() for record in caplog.records if record.name == groups.__name__] == [
        "the groups cannot be asked for: the database is away"
    ] * 2
