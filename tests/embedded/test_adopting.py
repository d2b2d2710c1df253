"""A server that runs is adopted, and there is never a second one on the same data."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from synapse.redis.embedded import EmbeddedRedis, read_endpoint
from tests.embedded.machine import client, crash, pid_of

# Starts the server of a folder in a process of its own, and ends as kill -9 would end it.
STARTER = """
import os, signal, sys
from pathlib import Path
from synapse.redis.embedded import EmbeddedRedis
EmbeddedRedis(Path(sys.argv[1])).ensure_running()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_running_server_is_adopted(embedded: EmbeddedRedis) -> None:
    first = embedded.ensure_running()
    pid = pid_of(first)

    second = EmbeddedRedis(embedded.folder).ensure_running()

    assert second == first
    assert pid_of(second) == pid


def test_many_starters_at_once_share_one_server(embedded: EmbeddedRedis) -> None:
    with ThreadPoolExecutor() as pool:
        endpoints = [task.result() for task in [pool.submit(embedded.ensure_running) for _ in range(8)]]

    assert len(set(endpoints)) == 1


def test_the_server_outlives_a_starter_that_is_killed(embedded: EmbeddedRedis) -> None:
    subprocess.run([sys.executable, "-c", STARTER, embedded.folder], check=False, timeout=120)
    started = read_endpoint(embedded.folder)
    assert started is not None
    pid = pid_of(started)

    adopted = embedded.ensure_running()

    assert adopted == started
    assert pid_of(adopted) == pid


def test_a_copy_of_the_folder_gets_a_server_of_its_own(embedded: EmbeddedRedis, tmp_path: Path) -> None:
    original = embedded.ensure_running()
    with client(original) as caller:
        caller.set("written", "before the copy")
    copy = EmbeddedRedis(tmp_path / "copy")
    shutil.copytree(embedded.folder, copy.folder)

    try:
        endpoint = copy.ensure_running()

        assert endpoint.port != original.port
        with client(endpoint) as caller:
            assert caller.get("written") == "before the copy"
            caller.set("written", "in the copy")
    finally:
        copy.stop()
    with client(original) as caller:
        assert caller.get("written") == "before the copy"


def test_a_folder_that_is_moved_keeps_its_server(embedded: EmbeddedRedis, tmp_path: Path) -> None:
    endpoint = embedded.ensure_running()
    pid = pid_of(endpoint)
    moved = EmbeddedRedis(embedded.folder.rename(tmp_path / "moved"))

    adopted = moved.ensure_running()

    assert pid_of(adopted) == pid
    moved.stop()
    assert crash(moved.ensure_running()) != pid
