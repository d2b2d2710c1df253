"""Programs that people watch with: curl, and Node's fetch."""

import json
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from tests.conftest import need
from tests.patience import eventually

NODE_PROGRAM = """
const [url, count] = process.argv.slice(1);
const answer = await fetch(url, {headers: {accept: 'text/event-stream'}});
let text = '', seen = 0;
for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
  const frames = (text + part).split('\\n\\n');
  text = frames.pop();
  for (const frame of frames) {
    const data = frame.split('\\n').find((line) => line.startsWith('data: '));
    if (data) {
      console.log(JSON.stringify(JSON.parse(data.slice(6)).event));
      if (++seen == count) process.exit(0);
    }
  }
}
"""


@contextmanager
def running(command):
    """Run a program that is killed at the end, also of a test that fails: `Popen` alone would wait for it for ever."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def test_curl_shows_events_as_they_come(server):
    need(shutil.which("curl"), "curl")
    with running(["curl", "-sN", "-m", "60", server.live()]) as curl:
        lines = iter(curl.stdout.readline, "")
        assert next(lines).startswith("retry: ")
        (id_,) = server.publish(1)
        found = [line for line in (next(lines) for _ in range(5)) if line.strip()][-2:]

    assert found[0] == f"id: {id_}\n"
    assert json.loads(found[1].removeprefix("data: "))["event"] == {"event_type": "order-placed", "n": 1}


# curl reads the same stream, in the test above.
@pytest.mark.nightly
def test_node_reads_the_stream_with_fetch(server):
    need(shutil.which("node"), "Node")
    command = ["node", "--input-type=module", "--eval", NODE_PROGRAM, server.live(), "3"]
    # A watcher of a test before is not taken for this one: it would get events before Node listens for them.
    eventually(lambda: server.watching() == 0)
    with running(command) as node:
        eventually(lambda: server.watching() == 1)
        server.publish(1, 2, 3)
        output, _ = node.communicate(timeout=60)

    assert [json.loads(line)["n"] for line in output.splitlines()] == [1, 2, 3]
    assert node.returncode == 0
