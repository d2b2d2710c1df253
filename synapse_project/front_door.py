"""The web server's application: the engine's routes with this project's settings, and Django for other paths."""

import asyncio
import contextlib
from collections.abc import Iterable

from django.conf import settings
from django.db import Error as DatabaseProblem
from django.template.loader import get_template
from django.template.utils import get_app_template_dirs
from django.urls import get_resolver, resolve, reverse

from alerts import background as alerts
from bridges.groups import expiry
from core.admin import home
from streams import background_tasks, connections, health
from streams.connections import tails
from streams.snapshot import holder
from synapse.http.exchange import Route
from synapse.runtime import process
from synapse.server import front_door, request_guard
from synapse.server.config import Receive, Send
from synapse_project import api_docs
from synapse_project.django_threads import DjangoHandler
from synapse_project.server_config import server_config


def load_views() -> None:
    """Import every view with its dependencies, by loading the URL patterns."""
    get_resolver().url_patterns  # noqa: B018 - the property imports them


def load_templates() -> None:
    """Compile the templates of the pages and of the theme's frame, so that the first page of a process need not."""
    for folder in get_app_template_dirs("templates"):
        own = folder.parent.parent == settings.BASE_DIR
        for pattern in ("**/*.html",) if own else ("unfold/layouts/*.html", "unfold/helpers/*.html"):
            for path in folder.glob(pattern):
                get_template(str(path.relative_to(folder)))


def prepare_pages() -> None:
    """Compile templates and URL patterns, and render the overview's parts, before the first viewer comes."""
    load_templates()
    resolve(reverse("admin:index"))
    with contextlib.suppress(DatabaseProblem):
        # If the database is unavailable, pages report that to each viewer.
        home.warm_up()


class Lifespan:
    """Answers the server's start and stop messages."""

    async def __call__(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                # In a thread: Django refuses queries on the event loop.
                await asyncio.to_thread(holder.current)
                # Before `tune_garbage_collector`, because the first requests would load them afterwards.
                await asyncio.to_thread(load_views)
                background_tasks.start()
                expiry.WORK.start()
                alerts.WORK.start()
                await asyncio.to_thread(health.start)
                request_guard.warning.write_at_start(server_config())
                process.tune_garbage_collector()
                process.keep_large_blocks_apart()
                # Runs while the first requests are answered.
                asyncio.get_running_loop().run_in_executor(None, api_docs.document)
                asyncio.get_running_loop().run_in_executor(None, prepare_pages)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(health.stop)
                await asyncio.to_thread(alerts.WORK.stop)
                await asyncio.to_thread(expiry.WORK.stop)
                await asyncio.to_thread(background_tasks.stop)
                tails().stop()
                connections.close_async_executors()
                await send({"type": "lifespan.shutdown.complete"})
                return


class FrontDoor(front_door.FrontDoor):
    """Answers async routes on the event loop, and passes all other requests to Django."""

    django: DjangoHandler

    def __init__(self, routes: Iterable[Route]) -> None:
        super().__init__(routes, config=server_config(), django=DjangoHandler(), lifespan=Lifespan())
