"""What Synapse's protocol uses of uvicorn that uvicorn promises nobody, as uvicorn has it now."""

import asyncio
import inspect
import re

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from synapse.server import fast_path, framed_protocol, http_protocol
from tests.lanes import Wire

MODULES = (framed_protocol, fast_path, http_protocol)
# Names by what has them: some are read, some are set, and some are overridden in the trust that uvicorn calls them.
NAMES = {
    "HttpToolsProtocol": (
        "_start_asgi_task _unset_keepalive_if_required app client config connection_lost connection_made connections "
        "cycle data_received eof_received expect_100_continue flow headers loop on_body on_header on_headers_complete "
        "on_message_begin on_message_complete on_response_complete parser pause_writing pipeline resume_writing scope "
        "server_state tasks timeout_keep_alive timeout_keep_alive_handler timeout_keep_alive_task transport url"
    ),
    "RequestResponseCycle": (
        "body chunked_encoding disconnected expected_content_length keep_alive message_event more_body "
        "response_complete response_started scope waiting_for_100_continue"
    ),
    "FlowControl": "drain pause_reading resume_reading write_paused",
    "ServerState": "connections default_headers tasks total_requests",
}
PAIRS = [(owner, name) for owner, names in NAMES.items() for name in names.split()]


async def _nothing(scope, receive, send):
    pass


@pytest.fixture(scope="module")
def owners():
    async def connect():
        config = uvicorn.Config(_nothing, http=HttpToolsProtocol, ws="none", lifespan="off", log_config=None)
        protocol = HttpToolsProtocol(config, ServerState(), {})
        protocol.connection_made(Wire("GET"))
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        found = protocol, protocol.cycle, protocol.flow, protocol.server_state
        protocol.connection_lost(None)
        await asyncio.gather(*protocol.tasks)
        return found

    return dict(zip(NAMES, asyncio.run(connect()), strict=True))


@pytest.mark.parametrize(("owner", "name"), PAIRS, ids=" ".join)
def test_uvicorn_has_each_name_that_the_protocol_uses(owners, owner, name):
    assert hasattr(owners[owner], name), (
        f"uvicorn {uvicorn.__version__} has no {owner}.{name}, which synapse/server/http_protocol.py, "
        "fast_path.py or framed_protocol.py uses. See what took its place before you raise uvicorn."
    )


@pytest.mark.parametrize("name", ["_start_asgi_task", "on_response_complete", "timeout_keep_alive_handler"])
def test_uvicorn_calls_what_the_protocol_overrides(name):
    source = inspect.getsource(inspect.getmodule(HttpToolsProtocol))

    assert re.search(rf"self\.{name}[(,\n )]", source), f"uvicorn {uvicorn.__version__} no longer calls {name}"


def test_each_name_of_uvicorn_that_the_protocol_uses_is_in_the_table(owners):
    source = "".join(map(inspect.getsource, MODULES))
    written = {
        "HttpToolsProtocol": r"\bself\.(\w+)",
        "RequestResponseCycle": r"cycle\.(\w+)",
        "FlowControl": r"flow\.(\w+)",
    }

    missing = {
        (owner, name)
        for owner, pattern in written.items()
        for name in re.findall(pattern, source)
        if hasattr(owners[owner], name) and name not in NAMES[owner].split()
    }

    assert missing == set()
