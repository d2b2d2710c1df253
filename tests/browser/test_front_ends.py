"""The guide's two front ends speak to Synapse from pages of their own origins, and no other page does."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from tests.browser.conftest import OTHERS, THE_GUIDES, keep_open
from tests.patience import eventually

pytestmark = pytest.mark.process

# What a front end does, with the headers that it may send: publishes with a key, sends again, and reads what is there.
SPEAK = """
async ([url, key]) => {
  const headers = {
    "Content-Type": "application/json",
    "Authorization": `Bearer ${key}`,
    "X-API-Key": key,
    "Idempotency-Key": String(Math.random()),
    "Synapse-Contract-Version": "1",
  };
  const ask = (path, options) => fetch(url + path, { headers, signal: AbortSignal.timeout(60_000), ...options });
  const body = JSON.stringify({ event_type: "user-action", user_id: "user_42", action: "login" });
  try {
    const stored = await ask("/events/platform-events", { method: "POST", body });
    const again = await ask("/events/platform-events", { method: "POST", body });
    const read = await ask("/streams/platform-events/messages?count=1");
    const missing = await ask("/streams/none/info");
    return [stored.status, again.status, again.headers.get("Idempotency-Replayed"), read.status, missing.status];
  } catch (error) {
    return String(error);
  }
}
"""
LISTEN = """
([url, path]) => new Promise((done) => {
  const source = new EventSource(`${url}${path}`);
  source.onopen = () => { source.close(); done("open"); };
  source.onerror = () => { source.close(); done("refused"); };
  setTimeout(() => { source.close(); done("neither open nor refused"); }, 60_000);
})
"""
# One stream, and five over one connection.
WATCHED = [
    "/streams/platform-events/live",
    "/live?stream=agi-decisions,inference-events,model-events,platform-events,training-events",
]
# A page can set no header of a handshake but the protocols: one of them has the key.
OPEN_SOCKET = """
([url, key]) => new Promise((done) => {
  const encoded = btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, ["synapse.v1", `synapse.key.${encoded}`]);
  const end = (found) => { socket.close(); done(found); };
  socket.onopen = () => socket.send(JSON.stringify({ op: "subscribe", stream: "platform-events", id: 1 }));
  socket.onmessage = ({ data }) => end([socket.protocol, JSON.parse(data).op]);
  socket.onerror = () => end("refused");
  setTimeout(() => end("neither open nor refused"), 60_000);
})
"""


class EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A front end</title>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def key(hub):
    """A key of a service that publishes to the stream and reads it."""
    command = hub.command("issue_key", "notification-service")
    text, errors = command.communicate(timeout=60)
    assert command.returncode == 0, errors
    key = next(word for word in text.split() if word.startswith("syn_"))
    # Another process issued it, and the server knows it a moment later.
    eventually(lambda: httpx.get(f"{hub.url}/streams", headers={"X-API-Key": key}).status_code == 200, within=30)
    return key


@pytest.fixture(scope="module")
def page_of(chromium, port_of_front_ends):
    """A page of another origin, which a server of the test answers."""
    server = HTTPServer(("127.0.0.1", port_of_front_ends), EmptyPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    context = chromium.new_context()
    keep_open(context, f"{THE_GUIDES[0]}/")

    def open_at(origin):
        page = context.new_page()
        page.goto(f"{origin}/")
        return page

    yield open_at
    context.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("origin", THE_GUIDES)
def test_a_front_end_of_the_guide_publishes_and_reads(page_of, hub, key, origin):
    assert page_of(origin).evaluate(SPEAK, [hub.url, key]) == [201, 200, "true", 200, 403]


@pytest.mark.parametrize("origin", THE_GUIDES)
def test_a_front_end_of_the_guide_watches(page_of, hub, key, origin):
    page = page_of(origin)

    assert [page.evaluate(LISTEN, [hub.url, path]) for path in WATCHED] == ["open", "open"]
    assert page.evaluate(OPEN_SOCKET, [hub.url, key]) == ["synapse.v1", "subscribed"]


@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_page_is_told_anything(page_of, hub, key, origin):
    page = page_of(origin)

    assert page.evaluate(SPEAK, [hub.url, key]) == "TypeError: Failed to fetch"
    assert [page.evaluate(LISTEN, [hub.url, path]) for path in WATCHED] == ["refused", "refused"]
    assert page.evaluate(OPEN_SOCKET, [hub.url, key]) == "refused"
