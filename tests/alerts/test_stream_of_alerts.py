"""The stream of alerts: Synapse alone publishes to it, whoever asks and by whichever way."""

import json

import pytest
from django.core.management import call_command

from alerts.stream import define_stream
from bridges.sinks.registry import sink_errors
from streams.models import EventType, Stream
from synapse.alerts.event import CONTRACTS
from synapse.auth.principal import SYSTEM

PULLED = {"stream": "synapse-alerts", "event_type": "alert-changed", "payload": {}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/events/synapse-alerts", {"event_type": "alert-changed"}),
        ("/events/synapse-alerts", [{"event_type": "alert-changed"}]),
        ("/events/synapse-alerts/validate", {"event_type": "alert-changed"}),
        ("/v1/publish", PULLED),
    ],
)
@pytest.mark.parametrize("is_open", [True, False])
def test_publishing_to_the_stream_of_alerts_is_refused(ask, define, key_of, settings, redis, path, body, is_open):
    define("synapse-alerts", {"alert-changed": None})
    settings.AUTH = "open" if is_open else "required"
    key = key_of("shop", publishes=["*"])

    answer = ask("POST", path, json.dumps(body), headers={} if is_open else {"Authorization": f"Bearer {key}"})

    assert answer.status == 403, answer.body
    assert redis.xlen("synapse-alerts") == 0


def test_streams_with_similar_names_take_events(ask, define):
    for name in ("synapse-alerts-2", "synapse", "alerts"):
        define(name)
        assert ask("POST", f"/events/{name}", '{"event_type": "x"}').status == 201


def test_a_bridge_into_the_stream_of_alerts_is_refused():
    assert "Synapse alone" in sink_errors("stream", {"stream": "synapse-alerts"})["config.stream"]
    assert sink_errors("stream", {"stream": "synapse-alerts-2"}) == {}


@pytest.mark.django_db
def test_the_stream_is_defined_once_with_its_contracts(capsys):
    call_command("define_alerts_stream")
    call_command("define_alerts_stream")

    stream = Stream.objects.get(name="synapse-alerts")
    assert stream.unknown_event_types == "reject"
    assert {row.name for row in EventType.objects.filter(stream=stream, contract__isnull=False)} == CONTRACTS.keys()
    assert capsys.readouterr().out.splitlines() == [
        "The stream synapse-alerts is defined now.",
        "The stream synapse-alerts is there already.",
    ]


@pytest.mark.django_db
def test_a_stream_that_somebody_defined_with_other_settings_keeps_them():
    Stream.objects.create(name="synapse-alerts", max_length=7)

    assert define_stream(by=SYSTEM)
    assert Stream.objects.get().max_length == 7
