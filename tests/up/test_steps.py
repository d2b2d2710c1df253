"""The steps of a start that can go wrong, and the messages that a person reads then."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from core import database
from core.models import CatalogVersion
from streams.models import Stream
from streams.snapshot import holder
from synapse_project import startup
from synapse_project.management.commands import up

SILENCE = [].append


def test_a_port_that_is_taken_is_named_with_another_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(startup.CannotStart, match=rf"Port {port} is taken .* make run PORT=\d+"):
            startup.require_free_port("127.0.0.1", port)

    startup.require_free_port("127.0.0.1", port)


def test_a_port_that_is_taken_on_one_address_is_taken_for_all_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(startup.CannotStart, match="is taken"):
        startup.require_free_port("0.0.0.0", other.getsockname()[1])


def test_an_address_that_this_machine_does_not_have_stops_the_start() -> None:
    with pytest.raises(startup.CannotStart, match=r"cannot listen on 192\.0\.2\.1:8002"):
        startup.require_free_port("192.0.2.1", 8002)


def test_a_second_start_in_a_folder_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    held = startup.hold_folder(tmp_path, SILENCE)

    with pytest.raises(startup.CannotStart, match=rf"runs already on .* \(process {os.getpid()}\)"):
        startup.hold_folder(tmp_path, SILENCE)

    os.close(held)
    os.close(startup.hold_folder(tmp_path, SILENCE))


def test_programs_of_an_up_that_was_killed_are_waited_for(tmp_path: Path) -> None:
    held = startup.hold_folder(tmp_path, SILENCE)
    (tmp_path / "up.lock").write_text("")  # whoever held it is gone
    leftover = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[held])
    os.close(held)
    said: list[str] = []

    def hear_and_end_it(line: str) -> None:
        said.append(line)
        leftover.communicate()

    os.close(startup.hold_folder(tmp_path, hear_and_end_it))

    assert said == ["Waiting for the web server of the last run to stop."]


def test_an_unavailable_service_is_asked_again_with_longer_waits() -> None:
    said: list[str] = []
    waited: list[float] = []

    def ask() -> None:
        if len(waited) < 7:
            raise database.SystemUnavailable("connection refused")

    database.wait_for("Redis at redis:6379", ask, said.append, sleep=waited.append)

    assert waited == [0.5, 1, 2, 4, 8, 10, 10]
    assert said[2] == "waiting for Redis at redis:6379 (connection refused), next try in 2 s"


def test_a_redis_that_is_not_there_yet_is_waited_for_and_its_password_is_not_shown(own_valkey) -> None:
    own_valkey.kill()
    said: list[str] = []

    def hear_and_start_it(line: str) -> None:
        said.append(line)
        own_valkey.start()

    assert startup.wait_for_redis(own_valkey.url, hear_and_start_it) == f"127.0.0.1:{own_valkey.port}"

    assert said == [f"waiting for Redis at 127.0.0.1:{own_valkey.port} (connection refused), next try in 0.5 s"]


@pytest.mark.django_db
def test_the_first_admin_gets_a_password_that_is_shown_once(settings) -> None:
    settings.ADMIN_PASSWORD = ""

    first, second = startup.create_admin(), startup.create_admin()

    admin = get_user_model().objects.get(username="admin")
    password = first.split("password ")[1].split()[0]
    assert admin.is_superuser
    assert admin.check_password(password)
    assert password not in second


@pytest.mark.django_db
def test_a_password_that_was_given_is_not_shown(settings) -> None:
    settings.ADMIN_PASSWORD = "a given password"

    told = startup.create_admin()

    assert get_user_model().objects.get(username="admin").check_password("a given password")
    assert told == "user admin, password from SYNAPSE_ADMIN_PASSWORD"


@pytest.mark.parametrize(("password", "is_first"), [("a given password", True), ("", False)])
def test_the_admin_is_made_before_the_web_server_answers_when_the_password_was_given(
    settings, monkeypatch, password: str, is_first: bool
) -> None:
    settings.ADMIN_PASSWORD, settings.REDIS_URL = password, "redis://127.0.0.1:6379"
    steps = Mock()
    monkeypatch.setattr(up, "startup", steps)
    monkeypatch.setattr(up, "database", steps)

    up.Up().start()

    order = [name for name, *_ in steps.method_calls]
    assert order.count("create_admin") == 1
    assert (order.index("create_admin") < order.index("start_web")) is is_first
    assert order.index("migrate") < order.index("create_admin")


@pytest.mark.django_db
@pytest.mark.parametrize("weak", ["admin", "password123", "1234567"])
def test_a_weak_password_stops_the_start(settings, weak: str) -> None:
    settings.ADMIN_PASSWORD = weak

    with pytest.raises(startup.CannotStart, match=r"^SYNAPSE_ADMIN_PASSWORD: "):
        startup.create_admin()

    assert not get_user_model().objects.filter(username="admin").exists()


@pytest.mark.django_db
def test_a_superuser_of_another_name_is_enough() -> None:
    get_user_model().objects.create_superuser("ada", password="unimportant")

    startup.create_admin()

    assert not get_user_model().objects.filter(username="admin").exists()


CATALOG = "streams: [{name: orders}]"


@pytest.fixture
def catalog_file(db, tmp_path, settings):
    """The catalog file of an installation whose catalog was never changed."""
    CatalogVersion.objects.all().delete()
    settings.CATALOG_FILE = tmp_path / "catalog.yaml"
    settings.CATALOG_FILE.write_text(CATALOG, encoding="utf-8")
    return settings.CATALOG_FILE


def test_a_new_installation_begins_with_the_catalog_file(catalog_file) -> None:
    startup.apply_catalog()

    assert Stream.objects.get().name == "orders"


def test_a_deleted_stream_does_not_come_back_at_the_next_start(catalog_file) -> None:
    startup.apply_catalog()
    Stream.objects.all().delete()

    startup.apply_catalog()

    assert not Stream.objects.exists()


def test_an_installation_with_definitions_of_its_own_gets_nothing_from_the_catalog_file(catalog_file) -> None:
    Stream.objects.create(name="parcels")

    startup.apply_catalog()

    assert Stream.objects.get().name == "parcels"


def test_a_catalog_file_that_could_not_be_applied_is_applied_at_the_next_start(catalog_file) -> None:
    catalog_file.write_text("streams: [{nam: orders}]", encoding="utf-8")
    with pytest.raises(CommandError):
        startup.apply_catalog()
    catalog_file.write_text(CATALOG, encoding="utf-8")

    startup.apply_catalog()

    assert Stream.objects.get().name == "orders"


@pytest.mark.django_db
def test_an_installation_without_a_catalog_file_starts_empty(settings) -> None:
    settings.CATALOG_FILE = None

    startup.apply_catalog()

    assert not Stream.objects.exists()


@pytest.fixture
def hints(db):
    """Return what the start says to try, with the streams that there are."""
    holder.forget()
    return lambda: startup.describe_start(redis="", login="")


def test_a_start_without_streams_says_how_to_define_one(hints) -> None:
    assert "/admin/streams/stream/add/" in hints()
    assert "curl" not in hints()


def test_a_start_with_other_streams_says_how_to_read_one_of_them(hints) -> None:
    Stream.objects.create(name="orders")

    assert "/streams/orders/messages" in hints()
    assert "model-events" not in hints()


def test_a_start_with_the_platforms_catalog_says_how_to_publish(hints) -> None:
    call_command("catalog", "apply", "catalog/deepiri.yaml")

    assert "/events/model-events" in hints()
