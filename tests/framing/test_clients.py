"""Unmodified programs that offer HTTP/2 with each request: each event they publish is stored once."""

import shutil
import subprocess

import pytest

from tests.conftest import need
from tests.framing.shapes import event

JAVA = """
import java.net.URI;
import java.net.http.*;

class Publish {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (String n : new String[] {"1", "2", "3"}) {
            String event = "{\\"event_type\\":\\"order-placed\\",\\"n\\":" + n + "}";
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(event))
                .build();
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
        }
    }
}
"""


def numbers(redis):
    return [int(fields[b"n"]) for _, fields in redis.xrange("orders")]


def test_curl_publishes_while_it_offers_http_2(server, redis):
    need(shutil.which("curl"), "curl")
    need(b"HTTP2" in subprocess.run(["curl", "-V"], capture_output=True, check=True).stdout, "HTTP/2 in curl")
    url = f"{server.url}/events/orders"
    shown = ["-s", "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version} %{num_connects}\n"]
    sent = ["-H", "content-type: application/json", "-d", event(1), url]

    # Twice over one connection, the second time in chunks.
    chunks = ["-H", "content-type: application/json", "-H", "transfer-encoding: chunked", "-d", event(2), url]
    command = ["curl", *shown, *sent, "--next", *shown, *chunks]
    found = subprocess.run(command, capture_output=True, check=True, timeout=60)

    assert found.stdout.decode().splitlines() == ["201 1.1 1", "201 1.1 0"]
    assert numbers(redis) == [1, 2]


# curl sends the same offer: the test above holds it in each run, and nobody has to install a Java, also not under CI.
@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed")
def test_java_publishes_with_the_client_that_it_comes_with(server, redis, tmp_path):
    program = tmp_path / "Publish.java"
    program.write_text(JAVA)

    found = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", program, f"{server.url}/events/orders"],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )

    assert found.stdout.split() == ["201"] * 3, found.stderr
    assert numbers(redis) == [1, 2, 3]
