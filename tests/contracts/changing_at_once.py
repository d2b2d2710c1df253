"""A program in which somebody changes a contract while another change waits for its commit: see test_changing_at_once.

The first change holds the catalog's lock until the second has come to it, or to the database's own on SQLite.
"""

import json
import sys
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402 - models need the setup
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402

from contracts import registry  # noqa: E402
from contracts.models import Contract, ContractVersion  # noqa: E402
from contracts.registry import settings  # noqa: E402
from core.models import CatalogVersion  # noqa: E402
from synapse.auth.principal import SYSTEM  # noqa: E402
from synapse.errors.contracts import DraftExists  # noqa: E402
from tests.contracts.registry_api.conftest import Registry  # noqa: E402

Change = Callable[[], Any]
FIRST, SECOND, THIRD = ({"title": text} for text in ("first", "second", "third"))
LONGEST = 180


def at_once(first: Change, second: Change) -> Any:
    """Make the second change while the first is uncommitted, and return the second's result."""
    made, waiting = Event(), Event()

    def holding() -> None:
        try:
            with transaction.atomic():
                first()
                made.set()
                waiting.wait(LONGEST)
        finally:
            made.set()
            connection.close()

    def noticing(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("BEGIN") or CatalogVersion._meta.db_table in sql:
            waiting.set()
        return execute(sql, *rest)

    other = Thread(target=holding)
    other.start()
    assert made.wait(LONGEST)
    with connection.execute_wrapper(noticing):
        given = second()
    other.join(LONGEST)
    return given


def person() -> Client:
    """Return the browser of a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("someone"))
    return client


def draft(document: Any) -> ContractVersion:
    return registry.draft("a", json.dumps(document), by=SYSTEM)


def standing() -> dict[str, Any]:
    """Return the state of the contract and the status of the next registration."""
    owner = registry.contract("a")
    active = registry.active_version(owner)
    return {
        "active": active and json.loads(active.text),
        "states": list(owner.versions.order_by("number").values_list("number", "state")),
        "description": owner.description,
        "compatibility": owner.compatibility,
        "next": Registry().register("a", THIRD).status,
    }


def page(name: str) -> str:
    return f"/admin/contracts/contract/{Contract.objects.get().pk}/{name}/"


def a_page_is_saved_while_a_version_is_registered() -> Any:
    Registry().register("a", FIRST)
    client, words = person(), {"description": "in words", "schema": json.dumps(FIRST)}
    words |= {"initial-schema": json.dumps(FIRST)}
    address = page("change")
    at_once(lambda: Registry().register("a", SECOND), lambda: client.post(address, words))
    return standing()


def a_page_is_saved_while_the_rules_change() -> Any:
    Registry().register("a", FIRST)
    client, owner, address = person(), registry.contract("a"), page("change")
    at_once(
        lambda: settings.change(owner, by=SYSTEM, compatibility="FULL"),
        lambda: client.post(address, {"description": "in words", "schema": json.dumps(FIRST)}),
    )
    return standing()


def a_draft_is_discarded_while_it_is_activated() -> Any:
    found, client, address = draft(FIRST), person(), page("discard")
    at_once(lambda: registry.activate(found, by=SYSTEM), lambda: client.post(address))
    return standing()


def a_draft_is_activated_while_another_is_written() -> Any:
    found, client, address = draft(FIRST), person(), page("activate")
    digest = registry.digest_of(found)
    answer = at_once(lambda: draft(SECOND), lambda: client.post(address, {"digest": digest}))
    return {"location": answer.headers.get("Location") == address, "active": standing()["active"]}


def a_version_is_deleted_for_good_twice() -> Any:
    registry_ = Registry()
    registry_.register("a", FIRST)
    registry_("DELETE", "/subjects/a/versions/1")
    version, again = registry.version(registry.contract("a"), 1), "/subjects/a/versions/1?permanent=true"
    answer = at_once(
        lambda: registry.delete_version(version, by=SYSTEM, permanent=True), lambda: registry_("DELETE", again)
    )
    return [answer.status, answer.json["error_code"]]


def a_draft_is_saved_beside_another() -> Any:
    Contract.objects.create(subject="a")

    def second() -> str:
        try:
            return str(registry.draft("a", json.dumps(SECOND), by=SYSTEM, replace=False))
        except DraftExists:
            return "there is another"

    return [at_once(lambda: draft(FIRST), second), registry.draft_of(registry.contract("a")).draft_text]  # type: ignore[union-attr]


def two_set_different_extras() -> Any:
    Contract.objects.create(subject="a")
    registry_ = Registry()
    at_once(
        lambda: registry_("PUT", "/config/a", {"compatibilityGroup": "major"}),
        lambda: registry_("PUT", "/config/a", {"defaultMetadata": {"owner": "us"}}),
    )
    return registry.contract("a").extras


if __name__ == "__main__":
    found = {}
    for scene in sys.argv[1:]:
        # No scene looks at permissions, which take longer to make again than the scene does.
        call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)
        ContentType.objects.clear_cache()
        found[scene] = globals()[scene]()
    print(json.dumps(found))
