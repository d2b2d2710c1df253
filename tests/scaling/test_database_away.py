"""PostgreSQL is away when a web server or a consumer starts, or several start on a new one at once."""

import json
import os
import re
import signal
import subprocess
import sys
import zlib

import httpx
import pytest
from django.core.signing import b64_decode

from synapse_project.environment import SETTINGS
from tests.patience import eventually
from tests.ports import free_port
from tests.postgres import running_server
from tests.scaling.machines import ROOT, Machines
from tests.valkey import running_valkey

EVENT = {"event_type": "order-placed", "n": 1}


@pytest.fixture(scope="module")
def postgres():
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def valkey():
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def machines_of_module(postgres, valkey, tmp_path_factory):
    return Machines(tmp_path_factory.mktemp("machines"), database=postgres.migrated, redis=valkey.url)


@pytest.fixture
def machines(machines_of_module, postgres):
    """Web servers whose database a test may stop."""
    yield machines_of_module
    if not postgres.is_running:
        postgres.start()


@pytest.fixture
def warden(machines):
    return {"Authorization": f"Bearer {machines.warden}"}


def issue(url, warden):
    return httpx.post(f"{url}/services/shop/keys", headers=warden).json()["key"]


def publish(url, key, event=EVENT):
    return httpx.post(f"{url}/events/orders", json=event, headers={"Authorization": f"Bearer {key}"}).status_code


def killed_and_restarted(machines, url, known=None):
    """Kill the web server, whose process may be known, start it again in the same data folder, and return its process
    and URL."""
    os.kill(machines.running.pop(url), signal.SIGKILL)
    if known is not None:
        known.wait(timeout=60)
    process = machines.start("machine-0")
    return process, next(iter(machines.running))


def version_kept(file):
    """Return the version of the catalog in a kept snapshot, whose signature is not looked at."""
    packed = file.read_text("ascii").partition(":")[0]
    return json.loads(zlib.decompress(b64_decode(packed.lstrip(".").encode())))["version"]


def is_up(url):
    return httpx.get(f"{url}/healthz").status_code == 200


def test_a_web_server_that_restarts_publishes_by_the_catalog_that_it_kept_until_that_has_changed(
    machines, postgres, valkey, warden
):
    with machines.serving([]) as (first,):
        good, revoked = issue(first, warden), issue(first, warden)
        httpx.delete(f"{first}/services/shop/keys/{revoked.split('_')[2]}", headers=warden)
        eventually(lambda: (publish(first, good), publish(first, revoked)) == (201, 401))
        kept = machines.log.parent / "machine-0" / "catalog-snapshot"
        # The web server writes its file within 0.3 s of a change, and notes the change's version at once.
        with valkey.client() as client:
            eventually(lambda: version_kept(kept) == client.zscore("syn:catalog", "version"))
        assert kept.stat().st_mode & 0o077 == 0
        postgres.stop()

        process, url = killed_and_restarted(machines, first)
        eventually(lambda: is_up(url), despite=httpx.HTTPError)

        assert (publish(url, good), publish(url, revoked)) == (201, 401)
        assert publish(url, good, EVENT | {"n": "many"}) == 422
        assert httpx.get(f"{url}/registry/subjects", headers=warden).status_code == 503
        read = {"stream": "orders", "consumer_group": "console", "consumer_name": "c"}
        refused = httpx.post(f"{url}/v1/read", json=read, headers={"Authorization": f"Bearer {good}"})
        assert refused.status_code == 503
        assert "events are published by version" in machines.log.read_text()
        assert "waiting for the database" not in machines.log.read_text()
        postgres.start()
        eventually(lambda: httpx.get(f"{url}/registry/subjects", headers=warden).status_code == 200)
        postgres.stop()

        # As another machine does when it revokes a key: the kept catalog is not used, and the database is waited for.
        with valkey.client() as client:
            client.zadd("syn:catalog", {"version": client.zscore("syn:catalog", "version") + 1})
        process, url = killed_and_restarted(machines, url, process)
        eventually(lambda: "waiting for the database" in machines.log.read_text())

        assert "there is no kept catalog: it is version" in machines.log.read_text()
        with pytest.raises(httpx.ConnectError):
            publish(url, good)
        postgres.start()
        eventually(lambda: publish(url, good) == 201, despite=httpx.HTTPError)
        process.terminate()
        process.wait(timeout=60)


def test_a_consumer_that_starts_waits_for_the_database(machines, postgres):
    postgres.stop()
    consumer = machines.command("consume", "orders", "--drain")
    assert re.match(r"waiting for the database at 127\.0\.0\.1:\d+ ", consumer.stderr.readline())

    postgres.start()

    _, said = consumer.communicate(timeout=180)
    assert consumer.returncode == 0, said
    assert re.search(r"Printed \d+ events? of “orders”\.", said)


@pytest.mark.nightly
def test_a_consumer_that_waits_stops_when_it_is_told_to(machines, postgres):
    postgres.stop()
    consumer = machines.command("consume", "orders")
    assert consumer.stderr.readline()

    consumer.send_signal(signal.SIGTERM)

    _, said = consumer.communicate(timeout=60)
    assert consumer.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.nightly
def test_several_that_start_on_a_new_database_at_once_all_come_up(valkey, tmp_path):
    with running_server() as postgres:
        own = {setting.name for setting in SETTINGS}
        inherited = {name: text for name, text in os.environ.items() if name.removesuffix("_FILE") not in own}
        ports = [free_port(), free_port()]
        processes = []
        for port in ports:
            variables = {
                "DJANGO_SETTINGS_MODULE": "synapse_project.settings",
                "DATABASE_URL": postgres.url,
                "REDIS_URL": valkey.url,
                "PORT": str(port),
                "SYNAPSE_VAR": str(tmp_path / str(port)),
                "SYNAPSE_RECORDS": str(tmp_path / "running"),
                "SYNAPSE_AUTH": "open",
            }
            with (tmp_path / f"{port}.log").open("w") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "manage.py", "up"],
                        cwd=ROOT,
                        env=inherited | variables,
                        stdout=log,
                        stderr=log,
                    )
                )
        said = [tmp_path / f"{port}.log" for port in ports]
        try:
            for process, log in zip(processes, said, strict=True):
                eventually(lambda p=process, log=log: "Synapse is running." in log.read_text() or p.poll() is not None)
                assert process.poll() is None, log.read_text()
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=60)
        assert sum("shown this once" in log.read_text() for log in said) == 1
