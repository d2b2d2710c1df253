"""The guard of the process that sends notifications keeps all of its connections to allowed addresses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bridges.receiver import Receiver

pytestmark = pytest.mark.process

# Tries each way to an address in a process that the guard watches, and prints how each ended.
PROGRAM = """
import asyncio, http.client, json, smtplib, socket, sys, urllib.request
import requests
from synapse.delivery.notifications.guard import AddressGuard
from synapse.delivery.webhooks.target import read_allowed

allowed, port = json.loads(sys.argv[1]), int(sys.argv[2])
lookup, turns = socket.getaddrinfo, iter(["93.184.216.34", "127.0.0.1"])

def found(host, port, *others, **options):
    # The first name is at home; the second is elsewhere when it is asked for again; the third is public and private.
    names = {"inside.example.com": ["127.0.0.1"], "mixed.example.com": ["93.184.216.34", "127.0.0.1"]}
    at = names.get(host) or ([next(turns)] if host == "rebound.example.com" else [host])
    return [row for address in at for row in lookup(address, port, *others, **options)]

socket.getaddrinfo = found
guard = AddressGuard(read_allowed(allowed))
guard.install()

def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", port))

def unix():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("/tmp/none.sock")

def rebound():
    socket.getaddrinfo("rebound.example.com", port)
    socket.create_connection(("rebound.example.com", port), 2)

def raw():
    with socket.socket() as one:
        if one.connect_ex(("127.0.0.1", port)):
            raise OSError("not connected")

async def loop():
    await asyncio.open_connection("127.0.0.1", port)

ways = {
    "create_connection": lambda: socket.create_connection(("127.0.0.1", port), 2),
    "raw": raw,
    "mapped into IPv6": lambda: socket.create_connection(("::ffff:127.0.0.1", port), 2),
    "a name": lambda: socket.create_connection(("inside.example.com", port), 2),
    "a name with two addresses": lambda: socket.create_connection(("mixed.example.com", port), 2),
    "a name that changes": rebound,
    "requests": lambda: requests.get(f"http://127.0.0.1:{port}/", timeout=2),
    "a proxy": lambda: requests.get("http://93.184.216.34/", proxies={"http": f"http://127.0.0.1:{port}"}, timeout=2),
    "urllib": lambda: urllib.request.urlopen(f"http://inside.example.com:{port}/", timeout=2),
    "smtplib": lambda: smtplib.SMTP("127.0.0.1", port, timeout=2),
    "asyncio": lambda: asyncio.run(loop()),
    "UDP": udp,
    "a socket file": unix,
}
result = {}
for name, way in ways.items():
    guard.refusal = ""
    try:
        way()
    except Exception as error:
        result[name] = bool(guard.refusal)
    else:
        result[name] = "connected"
print(json.dumps(result))
"""


def ways(receiver_port, *allowed):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(allowed), str(receiver_port)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(run.stdout)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_no_way_to_connect_reaches_a_private_address(receiver):
    found = ways(receiver.port)

    assert {name for name, ended in found.items() if ended is not True} == set()
    assert receiver.connections == 0


def test_a_network_that_is_allowed_is_reached_in_every_way_but_through_a_socket_file(receiver):
    found = ways(receiver.port, "127.0.0.0/8", "::ffff:127.0.0.1")

    # The receiver speaks no SMTP.
    reached = {name for name, ended in found.items() if ended == "connected"} | {"smtplib"}
    assert set(found) - reached == {"a socket file"}
    assert found["a socket file"] is True


def test_a_host_that_is_allowed_by_its_name_opens_no_other_name(receiver):
    found = ways(receiver.port, "mixed.example.com")

    assert found["a name"] is True
    assert found["requests"] is True
