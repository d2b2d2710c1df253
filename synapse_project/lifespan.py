"""What the web server starts before its first request and ends after its last (ASGI lifespan)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.urls import get_resolver

from bridges import background as bridges
from streams import background_tasks, connections, health_probe
from streams.live.process_tails import tails
from streams.snapshot import holder
from synapse.runtime import gc_tuning
from synapse.server import proxy_warning
from synapse_project import api_docs
from synapse_project.server_config import server_config


def load_views() -> None:
    """Import every view, and what they import."""
    get_resolver().url_patterns  # noqa: B018 - Django imports them when it is asked


class Lifespan:
    """Answers the server's start and stop messages."""

    async def __call__(
        self,
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                # In a thread: Django refuses queries on the event loop.
                await asyncio.to_thread(holder.current)
                # Before the collector is told what stays: the first requests would load it.
                await asyncio.to_thread(load_views)
                background_tasks.start()
                bridges.WORK.start()
                await asyncio.to_thread(health_probe.start)
                proxy_warning.warning.write_at_start(server_config())
                gc_tuning.spare()
                gc_tuning.keep_large_blocks_apart()
                # Beside the first requests, which need not wait for it.
                asyncio.get_running_loop().run_in_executor(None, api_docs.document)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(health_probe.stop)
                await asyncio.to_thread(bridges.WORK.stop)
                await asyncio.to_thread(background_tasks.stop)
                tails().stop()
                connections.close_async_executors()
                await send({"type": "lifespan.shutdown.complete"})
                return
