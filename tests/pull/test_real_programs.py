"""The server as it runs with unmodified programs: Node's fetch, curl, http.client; and the state after a kill -9."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson
import pytest
from redis.exceptions import ResponseError

from synapse.redis import keyspace
from tests.bridges.installation import ROOT, Installation
from tests.conftest import need
from tests.patience import eventually
from tests.ports import free_port
from tests.pull.cast import GROUP, PLACE, STREAM

NODE_PROGRAM = """
const [url, count] = process.argv.slice(1);
const post = async (path, body) => {
  const res = await fetch(url + path, {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  });
  if (!res.ok) throw new Error(await res.text());
  return res.json();
};
const group = {stream: 'orders', consumer_group: 'gateway'};
for (let n = 0; n < count; n++) {
  await post('/v1/publish', {
    stream: 'orders', event_type: 'order-placed', sender: 'node', payload: {n, user: {id: 'u' + n}},
  });
}
let seen = 0;
while (seen < count) {
  const {events} = await post('/v1/read', {...group, consumer_name: 'gateway-1', count: 10, block_ms: 1000});
  for (const event of events) {
    const payload = typeof event.fields.payload === 'string' ? JSON.parse(event.fields.payload) : event.fields.payload;
    console.log(JSON.stringify({type: event.fields.event_type, room: 'user_' + payload.user.id, n: payload.n}));
    const {acked} = await post('/v1/ack', {...group, entry_ids: [event.entry_id]});
    if (acked !== 1) throw new Error('not acked');
    seen++;
  }
}
"""


class Server:
    """`manage.py serve`, which a test may kill."""

    def __init__(self, installation):
        self.installation = installation
        self.port = free_port()
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        environment = {**self.installation.variables, "PORT": str(self.port), "HOST": "127.0.0.1"}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.installation.started.append(self.process)
        eventually(lambda: httpx.get(f"{self.url}/readyz").status_code == 200, despite=httpx.HTTPError)

    def kill(self):
        """End it as kill -9 does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def post(self, verb, **members):
        return httpx.post(f"{self.url}/v1/{verb}", json={"stream": STREAM, **members}, timeout=90)


@pytest.fixture(scope="module")
def running(tmp_path_factory, valkey_of_session):
    """A server on the Valkey that tests share."""
    installation = Installation(tmp_path_factory.mktemp("pull"))
    installation.url = valkey_of_session.url
    installation.prepare()
    yield Server(installation)
    installation.end()


@pytest.fixture
def server(running, redis):
    """The server of this file, on an empty Redis; it is started again where a test has ended it."""
    if running.process.poll() is not None:
        running.start()
    return running


# curl and http.client speak the same protocol, in the next test.
@pytest.mark.nightly
def test_nodes_fetch_publishes_reads_and_acknowledges_as_the_gateway_does(server):
    need(shutil.which("node"), "Node")
    command = ["node", "--input-type=module", "--eval", NODE_PROGRAM, server.url, "5"]

    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert found.stderr == ""
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert lines == [{"type": "order-placed", "room": f"user_u{n}", "n": n} for n in range(5)]


def test_curl_publishes_and_http_client_reads(server):
    need(shutil.which("curl"), "curl")
    body = {"stream": STREAM, "event_type": "order-placed", "payload": {"n": 1}}
    words = ["-s", "-X", "POST", f"{server.url}/v1/publish", "-H", "Content-Type: application/json"]
    published = subprocess.run(["curl", *words, "-d", json.dumps(body)], capture_output=True, check=True, timeout=120)

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    question = {"stream": STREAM, "consumer_group": "plain", "consumer_name": "p 1"}
    connection.request("POST", "/v1/read", orjson.dumps(question), {"Content-Type": "application/json"})
    (event,) = orjson.loads(connection.getresponse().read())["events"]
    connection.close()

    assert event["entry_id"] == orjson.loads(published.stdout)["entry_id"]


def test_many_first_reads_at_once_make_one_group(server, redis):
    ids = [redis.xadd(STREAM, {"event_type": "order-placed", "n": n}).decode() for n in range(20)]

    def read(n):
        return server.post("read", consumer_group="crowd", consumer_name=f"w{n}", count=1, block_ms=5000)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(read, range(20)))

    assert [answer.status_code for answer in answers] == [200] * 20
    assert {event["entry_id"] for answer in answers for event in answer.json()["events"]} == set(ids)
    exported = subprocess.run(
        [sys.executable, "manage.py", "catalog", "export"],
        cwd=ROOT,
        env=server.installation.variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert exported.count("group: crowd") == 1


def let_all_leases_end(redis):
    """Let the leases of all events in hand be over: five minutes are too long for a test."""
    for row in redis.xpending_range(STREAM, GROUP, "-", "+", 1000):
        redis.xclaim(STREAM, GROUP, "gone", 0, [row["message_id"]], idle=300_001, justid=True)
    for id_ in redis.zrange(keyspace.waiting(*PLACE), 0, -1):
        redis.zadd(keyspace.waiting(*PLACE), {id_: 0})


# What a server has handed out is in Redis alone: that it comes again when its lease is over, test_leases.py shows.
@pytest.mark.nightly
def test_a_server_that_is_killed_loses_nothing(server, redis):
    """Four consumers take and settle, while the server is killed over and over."""
    total, handled, stop = 300, set(), threading.Event()
    ids = {redis.xadd(STREAM, {"event_type": "order-placed", "n": n}).decode() for n in range(total)}

    def work(n):
        place = {"stream": STREAM, "consumer_group": GROUP}
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not stop.is_set():
                try:
                    found = client.post("/v1/read", json={**place, "consumer_name": f"w{n}", "count": 3})
                    for event in found.json()["events"]:
                        # Before it is settled: the answer to that may be lost.
                        handled.add(event["entry_id"])
                        client.post("/v1/ack", json={**place, "entry_ids": [event["entry_id"]]}).raise_for_status()
                except (httpx.HTTPError, KeyError):
                    # The server is away: whatever was in hand comes again.
                    stop.wait(0.02)

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, n) for n in range(4)]
        try:
            for killed_at in (40, 120):
                eventually(lambda at=killed_at: len(handled) >= at)
                server.kill()
                let_all_leases_end(redis)
                server.start()
            eventually(lambda: len(handled) == total)
        finally:
            stop.set()
        for worker in workers:
            worker.result(120)

    assert handled == ids
    assert redis.xpending(STREAM, GROUP)["pending"] == 0
    assert redis.exists(keyspace.waiting(*PLACE), keyspace.messages(*PLACE), keyspace.dead_letters(*PLACE)) == 0


def test_consume_all_does_not_run_a_group_that_is_pulled(server, redis):
    server.post("read", consumer_group="quiet", consumer_name="x", block_ms=0)
    redis.xadd(STREAM, {"event_type": "order-placed", "n": 1})

    process = server.installation.consume("--all", "--drain")
    _, said = process.communicate(timeout=180)

    assert "quiet" not in said
    assert server.post("read", consumer_group="quiet", consumer_name="x", block_ms=0).json()["events"]


def test_consume_with_a_pulled_bridge_names_the_route_that_reads_it(server):
    server.post("read", consumer_group="named", consumer_name="x", block_ms=0)

    process = server.installation.consume("--bridge", "orders:named", "--drain")
    _, said = process.communicate(timeout=180)

    assert "Clients read its events with POST /v1/read" in said
    assert process.returncode == 0


def test_a_server_that_is_asked_to_stop_does_so_while_many_wait(server, redis):
    def read(n):
        return server.post("read", consumer_group="waiters", consumer_name=f"w{n}", block_ms=30_000)

    with ThreadPoolExecutor(5) as pool:
        found = [pool.submit(read, n) for n in range(5)]
        with socket.create_connection(("127.0.0.1", server.port)):
            # Who waits has looked once, and is a consumer of the group.
            eventually(lambda: len(redis.xinfo_consumers(STREAM, "waiters")) == 5, despite=ResponseError)
        server.process.terminate()
        assert server.process.wait(timeout=25) == 0
        for one in found:
            assert one.result(60).json() == {"events": []}
