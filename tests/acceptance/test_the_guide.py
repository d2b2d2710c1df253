"""Everything in the integration guide works as printed, against a real server process and a real Valkey."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import need
from tests.patience import eventually

pytestmark = pytest.mark.process

NODE = Path(__file__).parent / "node"
STREAMS = {"model-events", "inference-events", "platform-events", "agi-decisions", "training-events"}
MODEL_READY = """{
  "event_type": "model-ready",
  "model_name": "task-classifier-v2",
  "version": "2.0.0",
  "registry_path": "s3://mlflow-artifacts/models/task-classifier-v2",
  "metadata": {
    "accuracy": 0.95,
    "training_time": "2h 30m"
  }
}"""
INFERENCE_COMPLETE = """{
  "event_type": "inference-complete",
  "request_id": "req_123456",
  "model_name": "task-classifier-v2",
  "latency_ms": 45,
  "confidence": 0.92,
  "timestamp": "2024-01-15T10:30:00Z"
}"""


def shell(command, hub):
    """Run a line of the guide as printed, but for the port."""
    need(shutil.which("curl"), "curl")
    line = command.replace("localhost:8002", f"localhost:{hub.port}")
    run = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_the_health_check(hub):
    # A hub that is too busy to ask says that it does not know; what is asked for is how it says that all is well.
    def healthy():
        answer = shell("curl http://localhost:8002/health", hub)
        return answer["status"] == "healthy" and answer

    answer = eventually(healthy)

    assert (answer["status"], answer["service"]) == ("healthy", "synapse")


def test_the_list_of_streams(hub):
    answer = shell("curl http://localhost:8002/streams", hub)

    assert {stream["name"] for stream in answer["streams"]} == STREAMS
    assert all({"length", "groups", "first_entry", "last_entry"} <= stream.keys() for stream in answer["streams"])


def test_a_stream_without_publishes_exists_and_is_empty(hub):
    answer = shell("curl http://localhost:8002/streams/agi-decisions/info", hub)

    assert answer["length"] == 0
    assert hub.redis().exists("agi-decisions")


@pytest.mark.parametrize(("stream", "event"), [("model-events", MODEL_READY), ("inference-events", INFERENCE_COMPLETE)])
def test_the_example_events_are_taken_as_printed(hub, stream, event):
    answer = httpx.post(f"{hub.url}/events/{stream}", content=event, headers={"content-type": "application/json"})

    assert answer.status_code == 201
    assert answer.json()["contract_version"] == 1


def test_stream_info_messages_and_metrics(hub):
    httpx.post(f"{hub.url}/events/inference-events", json=json.loads(INFERENCE_COMPLETE))

    info = shell("curl http://localhost:8002/streams/inference-events/info", hub)
    messages = shell("curl http://localhost:8002/streams/inference-events/messages?count=10", hub)
    metrics = shell("curl http://localhost:8002/metrics", hub)

    assert info["length"] >= 1
    assert info["last-entry"][1]["latency_ms"] == "45"
    newest = messages["messages"][0]
    assert newest["data"]["latency_ms"] == "45"
    assert newest["event"] == json.loads(INFERENCE_COMPLETE)
    assert metrics["total_streams"] == 5
    assert metrics["inference_metrics"]["total_inferences"] >= 1


# The test of the example events publishes the same one.
@pytest.mark.nightly
def test_the_axios_snippet_publishes(hub):
    need(shutil.which("node"), "Node")
    need((NODE / "node_modules" / "axios").is_dir(), "axios (npm install, as `make test` does)")
    before = hub.redis().xlen("inference-events")

    environment = os.environ | {"SYNAPSE_URL": hub.url}
    subprocess.run(["node", "publish.mjs"], cwd=NODE, env=environment, check=True, timeout=120)

    ((_, fields),) = hub.redis().xrevrange("inference-events", count=1)
    assert hub.redis().xlen("inference-events") == before + 1
    assert fields[b"request_id"] == b"req_123"


def test_a_page_of_the_platforms_front_end_may_publish(hub):
    origin = {"Origin": "http://localhost:5173"}
    url = f"{hub.url}/events/inference-events"

    asked = httpx.options(
        url,
        headers=origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"},
    )
    published = httpx.post(url, json=json.loads(INFERENCE_COMPLETE), headers=origin)

    assert asked.headers["access-control-allow-origin"] == origin["Origin"]
    assert "content-type" in asked.headers["access-control-allow-headers"]
    assert published.headers["access-control-allow-origin"] == origin["Origin"]


def test_the_documentation_of_the_api_needs_no_other_host(hub):
    page = httpx.get(f"{hub.url}/docs").text
    document = httpx.get(f"{hub.url}/openapi.json").json()

    assert "swagger-ui" in page
    assert "https://" not in page.replace("https://json-schema.org", "")
    assert document["openapi"].startswith("3.1")
    assert "/events/{stream}" in document["paths"]
