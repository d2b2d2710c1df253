"""The catalog is changed while all publish: every request is answered, by the contract before or the one after.

This is for the full run: tests/acceptance/test_contracts_change.py and tests/scaling/test_two_machines.py change a
contract that publishers and other processes then obey.
"""

from contextlib import closing

import httpx
import orjson
import pytest

from tests.connection import Connection, request
from tests.patience import eventually
from tests.rough.load import crowd

TIMES, SIZE = 10, 256
pytestmark = [pytest.mark.process, pytest.mark.nightly]

SUBJECT = "orders.order-placed"


def asked(synapse, method, path, body):
    answer = httpx.request(method, f"{synapse.url}{path}", json=body, timeout=60)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def activate(synapse, nth, **more):
    """Make a next version of the contract; no two are the same."""
    schema = {"type": "object", "title": f"version {nth}", "properties": {"n": {"type": "integer", **more}}}
    asked(
        synapse,
        "POST",
        f"/registry/subjects/{SUBJECT}/versions",
        {"schemaType": "JSON", "schema": orjson.dumps(schema).decode()},
    )


def add_stream(synapse, tmp_path, name):
    """Add a stream with a catalog file, which names no others."""
    file = tmp_path / f"{name}.yaml"
    file.write_text(f"streams:\n  - name: {name}\n    event_types:\n      - name: order-placed\n")
    synapse.machines.manage("catalog", "apply", str(file))


def publish(synapse, n, stream="orders"):
    """Publish on a connection of its own, which either worker may accept; return the status."""
    with closing(Connection(synapse.port)) as connection:
        body = orjson.dumps({"event_type": "order-placed", "n": n})
        connection.send(request("POST", f"/events/{stream}", body, "content-type: application/json"))
        return connection.answer()[0]


def everywhere(look):
    """Wait until it is so many times in a row."""
    eventually(lambda: all(look() for _ in range(20)))


def test_no_request_is_dropped_and_each_change_is_obeyed(synapse, tmp_path, capsys):
    asked(synapse, "PUT", f"/registry/config/{SUBJECT}", {"compatibility": "NONE"})
    with crowd(synapse, SIZE, life=100) as publishers:
        publishers.more(SIZE * 10)
        for nth in range(TIMES):
            activate(synapse, 2 * nth, multipleOf=2)
            everywhere(lambda: publish(synapse, -1) == 422)
            publishers.refused(SIZE, status=422)
            activate(synapse, 2 * nth + 1)
            everywhere(lambda: publish(synapse, -1) == 201)
            publishers.more(SIZE * 10)
            add_stream(synapse, tmp_path, f"more-{nth}")
            everywhere(lambda nth=nth: publish(synapse, -1, f"more-{nth}") == 201)
            publishers.more(SIZE * 10)

    with capsys.disabled():
        print(f"\n{SIZE} publishers, {3 * TIMES} changes: {dict(publishers.answers)}")
    assert publishers.answers.keys() == {201, 422}
    assert publishers.broken == 0
    publishers.check(synapse.stored())
    odd = [number for number in publishers.stored if number % 2]
    assert odd
    assert len(odd) < len(publishers.stored) / 2
