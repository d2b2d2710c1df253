"""A connection on which nothing happens stays open; a server that stops says so."""

import httpx

from streams.connections import tails
from tests.live.server import watching


def test_a_silent_connection_gets_heartbeats(server, settings):
    settings.LIVE_HEARTBEAT = 0.2
    with watching(server.live()) as watch:
        frames = [watch.frame() for _ in range(3)]

    assert [frame.comment for frame in frames] == ["heartbeat"] * 3
    assert all(frame.name == "" for frame in frames)


def test_a_server_that_stops_says_bye_at_once(server):
    with watching(server.live()) as watch, watching(server.live("parcels")) as other:
        (last,) = server.publish(1)
        assert watch.numbers(1) == [1]
        server.stop()

        assert [(frame.name, frame.data["last_event_id"]) for frame in watch.rest()] == [("bye", last)]
        assert [frame.name for frame in other.rest()] == ["bye"]


def test_a_server_that_stops_refuses_new_watchers(server):
    with httpx.Client() as client:
        client.get(f"{server.url}/healthz")
        tails().stop()
        answer = client.get(server.live())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"].endswith("stopping")
