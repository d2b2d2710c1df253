"""Two web servers, one of them with two workers, share a database and a Redis and act as one Synapse."""

import os
import signal

import httpx
import pytest

from tests.patience import eventually
from tests.postgres import running_postgres
from tests.scaling.machines import Machines, workers_of
from tests.valkey import running_valkey

WIDER = '{"type": "object", "properties": {"n": {"type": ["integer", "string"]}}}'


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    with running_postgres(migrated=True) as database, running_valkey() as valkey:
        yield Machines(tmp_path_factory.mktemp("machines"), database=database, redis=valkey.url)


@pytest.fixture(scope="module")
def both(machines):
    with machines.serving(["--workers", "2"], []) as urls:
        yield urls


@pytest.fixture(scope="module")
def warden(machines):
    return {"Authorization": f"Bearer {machines.warden}"}


@pytest.fixture(scope="module")
def shop(both, warden):
    """A key that the first machine issued and all processes know."""
    answer = httpx.post(f"{both[0]}/services/shop/keys", headers=warden)
    headers = {"Authorization": f"Bearer {answer.json()['key']}"}
    eventually(lambda: all(publish(url, headers).status_code == 201 for url in both * 20))
    return headers


def publish(url, headers, n=1, **more):
    return httpx.post(f"{url}/events/orders", json={"event_type": "order-placed", "n": n}, headers=headers | more)


def test_an_event_stored_by_one_server_is_shown_by_the_other(both, shop):
    id_ = publish(both[0], shop).json()["id"]

    shown = httpx.get(f"{both[1]}/streams/orders/messages?count=1", headers=shop).json()["messages"]

    assert shown[0]["id"] == id_


def test_an_event_that_is_sent_again_to_the_other_is_stored_once(both, shop):
    first, again = (publish(url, shop, **{"Idempotency-Key": "order-1"}) for url in both)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]


def test_a_contract_that_is_changed_on_one_is_asked_by_the_other(both, shop, warden):
    assert publish(both[1], shop, n="seven").status_code == 422

    changed = httpx.post(
        f"{both[0]}/registry/subjects/orders.order-placed/versions",
        json={"schemaType": "JSON", "schema": WIDER},
        headers=warden,
    )

    assert changed.status_code == 200, changed.text
    eventually(lambda: publish(both[1], shop, n="seven").status_code == 201)


def test_a_key_that_is_revoked_on_one_is_refused_by_the_other(both, warden):
    issued = httpx.post(f"{both[0]}/services/shop/keys", headers=warden).json()
    headers = {"Authorization": f"Bearer {issued['key']}"}
    eventually(lambda: publish(both[1], headers).status_code == 201)

    httpx.delete(f"{both[0]}/services/shop/keys/{issued['key'].split('_')[2]}", headers=warden)

    eventually(lambda: publish(both[1], headers).status_code == 401)


def test_a_worker_that_is_killed_is_started_again_and_the_other_answers_meanwhile(machines, both, shop):
    server = machines.running[both[0]]
    before = workers_of(server)
    os.kill(before[0], signal.SIGKILL)

    answers = {publish(both[0], shop).status_code for _ in range(20)}

    assert answers == {201}
    eventually(lambda: len(workers_of(server)) == 2 and before[0] not in workers_of(server))
