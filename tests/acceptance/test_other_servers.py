"""The hub on a Redis and a PostgreSQL that others run, which may come up later than the hub.

In each run `tests/up/test_steps.py` has the Redis that comes later, and the folder `scaling` has web servers on a Redis
and a PostgreSQL.
"""

import httpx
import pytest

from tests.acceptance.hub import Hub
from tests.patience import eventually
from tests.ports import free_port
from tests.postgres import running_postgres
from tests.valkey import Valkey

pytestmark = [pytest.mark.process, pytest.mark.nightly]

EVENT = {"event_type": "user-action", "user_id": "user_42", "action": "login"}


def test_the_hub_runs_on_a_postgresql_and_a_redis_of_others_that_comes_later_and_shows_no_password(tmp_path):
    valkey = Valkey(port=free_port(), folder=tmp_path)
    redis = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(valkey.port), "REDIS_PASSWORD": "redispassword"}
    # Its first start makes the tables, too.
    with running_postgres() as database:
        hub = Hub(tmp_path, free_port(), others={"DATABASE_URL": database, **redis})
        hub.launch()
        eventually(lambda: hub.output.count(f"127.0.0.1:{valkey.port}") >= 2)

        valkey.start()
        eventually(hub.is_healthy)
        answer = httpx.post(f"{hub.url}/events/platform-events", json=EVENT)

        assert answer.status_code == 201
        assert valkey.client().xlen("platform-events") == 1
        assert not (tmp_path / "var" / "redis").exists()
        assert not (tmp_path / "var" / "synapse.sqlite3").exists()
        assert "redispassword" not in hub.output
        assert hub.stop() == 0
        valkey.kill()
