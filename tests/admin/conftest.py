"""People with different rights, and a count of how often Redis was asked."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from streams import connections


@pytest.fixture
def client_who_may(db):
    """Log in a person with some permissions: `client_who_may("streams.view_stream")`."""

    def logged_in(*permissions: str) -> Client:
        user = User.objects.create_user("someone", password="secret", is_staff=True)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client = Client()
        client.force_login(user)
        return client

    return logged_in


@pytest.fixture
def round_trips(redis, monkeypatch) -> Iterator[list[int]]:
    """The number of commands in each pipeline that was sent."""
    executor = connections.executor()
    sent: list[int] = []
    execute = executor.execute

    def counted(commands):
        if commands:  # without any, a conversation lets others have their turn
            sent.append(len(commands))
        return execute(commands)

    monkeypatch.setattr(executor, "execute", counted)
    return sent


@pytest.fixture
def no_redis(settings) -> Iterator[None]:
    """A server that nobody reaches."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    connections.executor.cache_clear()
    yield
    connections.executor.cache_clear()
