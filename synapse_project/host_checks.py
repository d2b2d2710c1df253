"""Which hosts a request may ask for, as Django is told."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.http import HttpRequest

from synapse.http.hosts import allowed_host_mistake
from synapse.server.hosts import may_be_named_otherwise
from synapse_project.server_config import server_config


def serve_any_host(request: HttpRequest) -> None:
    """Let Django serve a request that may name any host: it asks all views for a host that is ours."""
    headers = {name.lower(): text for name, text in request.headers.items()}
    version = request.META.get("SERVER_PROTOCOL", "").removeprefix("HTTP/")
    if may_be_named_otherwise(server_config(), request.path_info, headers, version=version):
        request.META["HTTP_HOST"] = "localhost"


def check_allowed_hosts(app_configs: Sequence[Any] | None = None, **options: Any) -> list[CheckMessage]:
    """Warn of each entry of ALLOWED_HOSTS that matches no host (Django's system checks)."""
    mistakes = ((entry, allowed_host_mistake(entry)) for entry in settings.ALLOWED_HOSTS)
    return [
        Warning(f"ALLOWED_HOSTS: “{entry}” matches no host: {mistake}.", id="synapse.W001")
        for entry, mistake in mistakes
        if mistake
    ]
