"""The hub on a Redis and a PostgreSQL that others run, which may come up later than the hub."""

import httpx
import pytest

from tests.acceptance.hub import Hub
from tests.patience import eventually
from tests.ports import free_port
from tests.postgres import running_postgres
from tests.valkey import Valkey, running_valkey

pytestmark = pytest.mark.process

EVENT = {"event_type": "user-action", "user_id": "user_42", "action": "login"}


def test_the_hub_runs_on_a_redis_and_a_postgresql_of_others(tmp_path):
    with running_postgres() as database, running_valkey() as valkey:
        hub = Hub(tmp_path, free_port(), others={"DATABASE_URL": database, "REDIS_URL": valkey.url})
        hub.start()

        answer = httpx.post(f"{hub.url}/events/platform-events", json=EVENT)

        assert answer.status_code == 201
        assert valkey.client().xlen("platform-events") == 1
        assert not (tmp_path / "var" / "redis").exists()
        assert not (tmp_path / "var" / "synapse.sqlite3").exists()
        assert hub.stop() == 0


def test_the_hub_waits_for_a_redis_that_comes_later_and_shows_no_password(tmp_path):
    valkey = Valkey(port=free_port(), folder=tmp_path)
    variables = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(valkey.port), "REDIS_PASSWORD": "redispassword"}
    hub = Hub(tmp_path, free_port(), others=variables)
    hub.launch()
    eventually(lambda: hub.output.count(f"127.0.0.1:{valkey.port}") >= 2)

    valkey.start()

    eventually(hub.is_healthy)
    assert "redispassword" not in hub.output
    assert hub.stop() == 0
    valkey.kill()
