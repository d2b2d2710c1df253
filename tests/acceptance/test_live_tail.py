"""Watching a running hub, in the full run through the ends of its processes.

tests/live/test_going_on.py has Redis end under a watcher, tests/browser/test_live.py the web server;
tests/live/test_heartbeats_and_stopping.py has a server say bye.
"""

import httpx
import pytest

from tests.live.server import watching
from tests.patience import eventually

pytestmark = pytest.mark.process


def publish(hub, number):
    event = {"event_type": "model-loaded", "model_name": f"model-{number}", "version": "1"}
    eventually(
        lambda: httpx.post(f"{hub.url}/events/inference-events", json=event).status_code == 201,
        despite=httpx.TransportError,
    )


def models(watch, count):
    return [watch.next().data["event"]["model_name"] for _ in range(count)]


def test_watchers_are_counted_in_the_live_watchers_metric(hub):
    def shown():
        text = httpx.get(f"{hub.url}/metrics", headers={"accept": "text/plain;version=0.0.4"}).text
        return [line for line in text.splitlines() if line.startswith('synapse_live_watchers{stream="agi-decisions"}')]

    url = f"{hub.url}/streams/agi-decisions/live"
    with watching(url), watching(url):
        eventually(lambda: shown() == ['synapse_live_watchers{stream="agi-decisions"} 2.0'])
    eventually(lambda: shown() == ['synapse_live_watchers{stream="agi-decisions"} 0.0'])


@pytest.mark.nightly
def test_a_watcher_misses_no_event_when_redis_and_the_web_server_are_killed(own_hub):
    url = f"{own_hub.url}/streams/inference-events/live"
    with watching(url, timeout=90) as watch:
        publish(own_hub, 1)
        assert models(watch, 1) == ["model-1"]
        own_hub.kill_redis()
        publish(own_hub, 2)
        assert models(watch, 1) == ["model-2"]
        # The read loop of a stream that nobody watches any more may take a moment to end.
        eventually(lambda: sum(client["cmd"] == "xread" for client in own_hub.redis().client_list()) == 1)

        own_hub.kill_web_server()
        with pytest.raises(httpx.TransportError):
            watch.next()
        last_id = watch.last_id
    publish(own_hub, 3)

    with watching(url, last_id=last_id) as watch:
        assert models(watch, 1) == ["model-3"]


@pytest.mark.nightly
def test_five_streams_over_one_connection_lose_no_event_while_the_web_server_is_killed_again_and_again(own_hub):
    streams = ["agi-decisions", "inference-events", "model-events", "platform-events", "training-events"]
    url, last_id, received = f"{own_hub.url}/live", "", {stream: [] for stream in streams}
    with own_hub.redis() as redis:
        for begins in range(0, 250, 50):
            with watching(url, last_id=last_id, stream=streams, timeout=90) as watch:
                for number in range(begins, begins + 50):
                    for stream in streams:
                        redis.xadd(stream, {"event_type": "counted", "n": number})
                # The rest comes with the next connection.
                for _ in range(130 if begins < 200 else 1250 - 4 * 130):
                    data = watch.next().data
                    received[data["stream"]].append(data["event"]["n"])
                last_id = watch.last_id
                own_hub.kill_web_server()
            eventually(lambda: httpx.get(f"{own_hub.url}/healthz").status_code == 200, despite=httpx.TransportError)

    assert received == {stream: list(range(250)) for stream in streams}


@pytest.mark.nightly
def test_a_hub_that_is_stopped_says_bye_and_ends_at_once(own_hub):
    with watching(f"{own_hub.url}/streams/inference-events/live") as watch:
        own_hub.process.terminate()
        assert [frame.name for frame in watch.rest()] == ["bye"]
        own_hub.process.wait(timeout=120)
