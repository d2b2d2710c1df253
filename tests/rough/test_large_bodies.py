"""Large bodies are given back with their answers, on connections that stay, whether they were taken or refused."""

import httpx
import orjson
import pytest

from tests.chaos.profile import FULL
from tests.rough.server import running_synapse

MIB = 1024 * 1024
TIMES = 30 if FULL else 16
# Of so many times eight: a body is held while it is answered, a few times over while it is read.
MOST_GROWTH = 100 * MIB


@pytest.fixture(scope="module")
def synapse(tmp_path_factory):
    """One of this file's own, whose memory no other test has filled; one process, so that all bodies come to it."""
    with running_synapse(tmp_path_factory.mktemp("large-bodies"), "--workers", "1") as running:
        yield running


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/events/orders", b"[" + b" " * (8 * MIB - 2) + b"]", 400),
        ("/events/orders", b'"' + b"x" * (8 * MIB - 2) + b'"', 413),
        ("/events/nowhere", b'"' + b"x" * (8 * MIB - 2) + b'"', 404),
        ("/events/orders/validate", orjson.dumps([{"event_type": "order-placed", "n": "no"}] * 10_000), 422),
        ("/events/orders/validate", orjson.dumps([{"event_type": "order-placed", "x": "y" * 7800}] * 1000), 200),
    ],
    ids=["an empty batch", "too large an event", "no such stream", "a batch that is refused", "a batch that is good"],
)
def test_the_memory_of_a_large_body_is_freed_when_it_is_answered(synapse, path, body, status):
    headers = {"content-type": "application/json"}
    clients = [httpx.Client(base_url=synapse.url, timeout=60) for _ in range(TIMES)]
    answers = [clients[0].post(path, content=body, headers=headers)]
    before = synapse.memory()

    answers += [client.post(path, content=body, headers=headers) for client in clients]
    held = synapse.memory()
    for client in clients:
        client.close()

    assert {answer.status_code for answer in answers} == {status}
    assert held - before < MOST_GROWTH
