"""Django behind the front door: its synchronous handler in a small pool of threads, one hop a request."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from urllib.parse import quote

from django.core.handlers.wsgi import WSGIHandler

from synapse_project import gate

THREADS = 8

# Status, headers and body.
DjangoAnswer = tuple[int, list[tuple[bytes, bytes]], bytes]


class DjangoLane:
    """Answers a request with Django, through its WSGI handler (PEP 3333)."""

    def __init__(self) -> None:
        self._handler = WSGIHandler()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="django")

    async def __call__(self, scope: Mapping[str, Any], body: bytes) -> DjangoAnswer:
        """Return the answer's status, headers and body."""
        environ = _environ(scope, body)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, environ)

    def _answer(self, environ: dict[str, Any]) -> DjangoAnswer:
        status = 500
        headers: list[tuple[bytes, bytes]] = []

        def start_response(line: str, pairs: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
            nonlocal status
            status = int(line[:3])
            headers.extend((name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in pairs)
            return lambda _: None  # the deprecated way to write; Django never uses it

        response = self._handler(environ, start_response)
        try:
            content = b"".join(response)
        finally:
            response.close()
        if environ["REQUEST_METHOD"] == "HEAD":
            content = b""
        return status, headers, content


def _environ(scope: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    host, port = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # PEP 3333: text in the environ is bytes read as Latin-1.
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "RAW_URI": scope.get("raw_path", b"").decode("latin-1") or quote(scope["path"]),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        gate.COUNTED: True,
    }
    for raw_name, raw_text in scope["headers"]:
        name, text = raw_name.decode("latin-1").upper().replace("-", "_"), raw_text.decode("latin-1")
        if b"_" in raw_name or name == "CONTENT_LENGTH":
            # X_Forwarded_For would look like X-Forwarded-For; the length is that of what was read.
            continue
        key = name if name == "CONTENT_TYPE" else f"HTTP_{name}"
        joint = "; " if name == "COOKIE" else ","
        environ[key] = environ[key] + joint + text if key in environ else text
    return environ
