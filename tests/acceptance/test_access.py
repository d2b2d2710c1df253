"""Where keys are required: a real server, real clients, and keys that change meanwhile.

In the full run the server has two workers; tests/scaling/test_two_machines.py has them anyway.
"""

import json
import threading

import httpx
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from tests.acceptance.hub import ADMIN_PASSWORD, Hub
from tests.chaos.profile import FULL
from tests.patience import eventually
from tests.ports import free_port

# The client's own dependencies warn of each other.
pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

EVENT = {"event_type": "training-complete", "run_id": "r1"}
SCHEMA = Schema(json.dumps({"type": "object"}), "JSON")


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A hub that lets nobody in without a key."""
    hub = Hub(
        folder=tmp_path_factory.mktemp("closed-hub"),
        port=free_port(),
        others={"SYNAPSE_AUTH": "required", "SYNAPSE_WORKERS": "2" if FULL else "1"},
    )
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def warden(closed):
    """A key that issues others: of a service that may publish and read all that they may."""
    catalog = closed.folder / "warden.yaml"
    catalog.write_text('services: [{name: warden, publishes: [{stream: "*"}], subscribes: [{stream: "*"}]}]')
    out, notes = closed.command("catalog", "apply", str(catalog)).communicate(timeout=180)
    assert out == "created: 1 service, 2 grants\n", notes
    words = [word for scope in ("keys:write", "registry:read", "registry:write") for word in ("--scope", scope)]
    out, notes = closed.command("issue_key", "warden", *words).communicate(timeout=180)
    assert out.startswith("syn_live_"), notes
    return out.strip()


@pytest.fixture(scope="module")
def key_for(closed, warden):
    def key_for(service):
        answer = httpx.post(f"{closed.url}/services/{service}/keys", headers=shows(warden))
        assert answer.status_code == 201
        key = answer.json()["key"]
        # The other worker knows it a moment later.
        eventually(lambda: asked(closed, key) == {200})
        return key

    eventually(lambda: asked(closed, warden) == {200})
    return key_for


def shows(key):
    return {"Authorization": f"Bearer {key}"}


def asked(closed, key):
    """How a key is answered on many new connections, each of which belongs to one worker: all workers, that is."""
    return {httpx.get(f"{closed.url}/streams", headers=shows(key)).status_code for _ in range(16)}


def test_the_start_says_that_keys_are_needed_and_how_to_get_one(closed):
    assert "A key is needed for all but the admin:  manage.py issue_key SERVICE" in closed.output
    assert "OPEN" not in closed.output


def test_a_publisher_of_one_stream_is_refused_on_another_in_every_way(closed, key_for):
    helox = shows(key_for("helox"))
    pull = {"stream": "agi-decisions", "consumer_group": "g", "consumer_name": "c"}

    with httpx.Client(base_url=closed.url, headers=helox) as client:
        answers = [
            client.post("/events/agi-decisions", json={"event_type": "decision-made"}),
            client.post("/v1/publish", json={**pull, "event_type": "decision-made", "payload": {}}),
            client.post("/v1/read", json=pull),
            client.get("/streams/agi-decisions/live"),
        ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert answers[0].json()["detail"] == "service:helox may not publish to agi-decisions."


def test_a_registry_client_shows_its_key_as_a_password(closed, warden):
    with SchemaRegistryClient({"url": f"{closed.url}/registry", "basic.auth.user.info": f"any:{warden}"}) as client:
        id_ = client.register_schema("orders-value", SCHEMA)

        assert client.get_schema(id_).schema_str == SCHEMA.schema_str
        assert "orders-value" in client.get_subjects()


def test_a_registry_client_shows_the_two_parts_of_its_key(closed, warden):
    _, _, id_, secret = warden.split("_")

    with SchemaRegistryClient({"url": f"{closed.url}/registry", "basic.auth.user.info": f"{id_}:{secret}"}) as client:
        assert client.get_schema_types() == ["JSON"]


def test_a_registry_client_without_rights_finds_nothing_and_one_without_a_key_is_refused(closed, key_for):
    key = key_for("monitoring")
    with SchemaRegistryClient({"url": f"{closed.url}/registry", "basic.auth.user.info": f"any:{key}"}) as client:
        assert client.get_subjects() == []
        with pytest.raises(SchemaRegistryError) as unseen:
            client.get_latest_version("training-events.training-complete")
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema("orders-value", SCHEMA)
    stranger = SchemaRegistryClient({"url": f"{closed.url}/registry"})
    with stranger, pytest.raises(SchemaRegistryError) as unknown:
        stranger.get_subjects()

    assert (unseen.value.http_status_code, unseen.value.error_code) == (404, 40401)
    assert refused.value.http_status_code == 404
    assert (unknown.value.http_status_code, unknown.value.error_code) == (401, 401)


def test_rotating_a_key_drops_no_request(closed, warden, key_for):
    """A program that takes up its new key a while after it was issued, as a deployment does."""
    current = {"key": key_for("cyrex")}
    body = {"event_type": "model-unloaded", "model_name": "m"}
    statuses, in_use, stop = [], {}, threading.Event()

    def publish():
        with httpx.Client(base_url=closed.url) as client:
            while not stop.is_set():
                key = in_use[threading.get_ident()] = current["key"]
                answer = client.post("/events/inference-events", json=body, headers=shows(key))
                statuses.append(answer.status_code)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        old = current["key"].split("_")[2]
        rotated = httpx.post(
            f"{closed.url}/services/cyrex/keys/{old}/rotate", json={"overlap": 3600}, headers=shows(warden)
        )
        assert rotated.status_code == 201
        new = rotated.json()["key"]
        # Every worker knows the new key a moment later; a program takes longer to be given it.
        eventually(lambda new=new: asked(closed, new) == {200})
        current["key"] = new
        eventually(lambda new=new: set(in_use.values()) == {new})
        assert httpx.delete(f"{closed.url}/services/cyrex/keys/{old}", headers=shows(warden)).status_code == 200
    stop.set()
    for thread in threads:
        thread.join()

    assert len(statuses) > 100
    assert set(statuses) == {201}


def test_a_revoked_key_is_refused_by_every_process_on_connections_that_it_opened(closed, warden, key_for):
    key = key_for("task-orchestrator")
    # Each connection belongs to one worker.
    clients = [httpx.Client(base_url=closed.url, headers=shows(key)) for _ in range(8)]
    assert {client.get("/streams").status_code for client in clients} == {200}

    httpx.delete(f"{closed.url}/services/task-orchestrator/keys/{key.split('_')[2]}", headers=shows(warden))

    eventually(lambda: {client.get("/streams").status_code for client in clients} == {401})
    for client in clients:
        client.close()


def test_a_person_who_is_logged_in_may_use_the_api_and_no_other_site_may_use_their_session(closed):
    with httpx.Client(base_url=closed.url, follow_redirects=True) as browser:
        page = browser.get("/admin/login/")
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = {"username": "admin", "password": ADMIN_PASSWORD, "csrfmiddlewaretoken": token}
        browser.post("/admin/login/?next=/streams", data=form, headers={"Referer": closed.url})

        listed = browser.get("/streams")
        forged = browser.post("/events/platform-events", json={"event_type": "x"})
        own = browser.post(
            "/events/platform-events",
            json={"event_type": "note-made"},
            headers={"X-CSRFToken": browser.cookies["csrftoken"], "Referer": closed.url},
        )

    assert len(listed.json()["streams"]) > 3
    assert forged.status_code == 403
    assert own.status_code == 201
