"""The hostile callers of `make attacks` ask the server that they are sent to, from an address of their own."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.attacks.attackers import ADDRESS

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("name", ["filtered reads", "held bodies"])
def test_an_attack_reaches_the_server_from_an_address_of_its_own(name):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        order = {
            "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "hostile_key": "k",
            "person": "p",
            "password": "w",
            "seconds": 60,
        }
        command = [sys.executable, "-m", "benchmarks.attacks.attackers", name]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT, text=True
        ) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(order))
            process.stdin.close()
            connection, (address, _) = listener.accept()
            process.kill()
            connection.close()

    assert address == ADDRESS
