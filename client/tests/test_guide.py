"""The two patterns of the integration guide run as printed in the README, against a server with the host name
`redis`.
"""

import ast
import asyncio
import inspect
import re
import socket
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from acting import GROUP, STREAM, Redis, client_of, pending, until
from tests.valkey import PASSWORD, Valkey

from deepiri_modelkit.contracts.events import InferenceEvent
from synapse.wire import encoding

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PUBLISH, SUBSCRIBE = (
    found for found in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if 'redis_host="redis"' in found
)


@pytest.fixture(autouse=True)
def server_called_redis(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirect the host name and port in the guide to the test's server."""
    assert PASSWORD == "redispassword"
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if (host, port) == ("redis", 6379):
            host, port = "127.0.0.1", valkey.port
        return resolve(host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def compiled(snippet: str) -> CodeType:
    code: CodeType = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


async def run(code: CodeType, names: dict[str, Any]) -> None:
    result = eval(code, names)
    assert inspect.isawaitable(result)
    await result


def test_publishing_as_printed(redis: Redis) -> None:
    names: dict[str, Any] = {}

    async def scene() -> None:
        await run(compiled(PUBLISH), names)
        await names["client"].close()

    asyncio.run(scene())

    ((_, fields),) = redis.xrange(STREAM)
    assert encoding.decode(fields).event == names["event"].dict()
    assert (fields[b"latency_ms"], fields[b"event"]) == (b"45", b"inference-complete")


def test_subscribing_as_printed(valkey: Valkey, redis: Redis, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    inference = {"request_id": "req_123", "model_name": "task-classifier-v2", "latency_ms": 45, "confidence": 0.92}
    event = InferenceEvent.model_validate(
        {"event_type": "inference-complete", **inference, "success": True, "metadata": {"tokens": [1, 2, None]}}
    )

    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish(STREAM, event.dict())
            task = asyncio.create_task(run(compiled(SUBSCRIBE), names))
            await until(lambda: redis.xinfo_groups(STREAM) and redis.xinfo_groups(STREAM)[0]["entries-read"] == 1)
            await until(lambda: not pending(redis))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await names["client"].close()

    asyncio.run(scene())

    assert capsys.readouterr().out == "Inference completed: req_123\n"
    assert names["event"] == event.dict()
    assert redis.xinfo_consumers(STREAM, GROUP)[0]["name"] == b"analytics-1"
