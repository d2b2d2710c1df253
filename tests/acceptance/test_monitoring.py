"""Files for other monitoring are used by a real Prometheus, which scrapes a hub where some things go wrong.

This is for the full run: tests/project/test_monitoring_files.py compares the files with the metrics that there are.
"""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from synapse.monitoring.grafana import dashboard
from tests.acceptance.hub import Hub, running_hub
from tests.bridges.receiver import Receiver, answer
from tests.framing.proxies import program
from tests.patience import eventually
from tests.ports import free_port

pytestmark = [pytest.mark.process, pytest.mark.nightly]

CATALOG = """
streams:
  - name: orders
    max_length: 1000
    event_types:
      - name: order-placed
        schema: {{type: object, required: [order_id], properties: {{order_id: {{type: string}}}}}}
bridges:
  - {{name: orders-to-shop, stream: orders, group: shop, sink: webhook, max_attempts: 1,
      config: {{url: "{url}", secret: shop}}}}
"""
SCRAPED = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
scrape_configs:
  - job_name: synapse
    static_configs: [{{targets: ["localhost:{port}"]}}]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that has refused an event, and whose one receiver takes each second event."""
    folder = tmp_path_factory.mktemp("monitored")
    receiver = Receiver()
    receiver.answers = lambda number: answer(204 if number % 2 else 503)
    (folder / "catalog.yaml").write_text(CATALOG.format(url=receiver.url))
    others = {
        "SYNAPSE_CATALOG": str(folder / "catalog.yaml"),
        "SYNAPSE_WEBHOOK_ALLOW": "127.0.0.1",
        "SYNAPSE_SECRET_SHOP": f"whsec_{base64.b64encode(os.urandom(32)).decode()}",
    }
    try:
        with running_hub(folder, others) as running:
            yield running
    finally:
        receiver.close()


@contextmanager
def prometheus(folder: Path, hub: Hub) -> Iterator[str]:
    """Run Prometheus beside the hub, and give its address."""
    port = free_port()
    (folder / "prometheus.yaml").write_text(SCRAPED.format(port=hub.port))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus", "Prometheus"),
                f"--config.file={folder}/prometheus.yaml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: httpx.get(f"{url}/-/ready").is_success, despite=httpx.TransportError)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def publish(hub: Hub, number: int, **more: object) -> int:
    event = {"event_type": "order-placed", "order_id": str(number)} | more
    return httpx.post(f"{hub.url}/events/orders", json=event).status_code


def queries() -> dict[str, str]:
    """Each query of the dashboard by its panel and legend, with Grafana's variables replaced."""
    values = {"$stream": ".*", "$group": ".*", "$__rate_interval": "10s"}
    found = {}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for variable, text in values.items():
                query = query.replace(variable, text)
            found[f"{panel['title']}: {target['legendFormat']}"] = query
    return found


def values_of(url: str, query: str) -> list[object]:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    return [one for one in answer["data"]["result"] if one["value"][1] != "NaN"]


def test_every_panel_of_the_dashboard_shows_data(hub, tmp_path):
    with prometheus(tmp_path, hub) as url:

        def is_shown() -> bool:
            # Rates need events between two scrapes.
            assert [publish(hub, number) for number in range(4)] == [201] * 4
            assert publish(hub, 4, order_id=7) == 422
            missing = [name for name, query in queries().items() if not values_of(url, query)]
            assert missing == []
            return True

        eventually(is_shown, within=60)
