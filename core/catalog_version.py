"""The catalog's version number, and the listeners that are notified when it rises.

A save or delete of any `CatalogModel` raises the number in the same transaction, so no crash can keep the change and
lose the number. It is raised before the first row is written: every writer of the catalog takes this one lock first, so
concurrent writers wait for each other in one order and cannot deadlock. A transaction raises it once, however many rows
it writes, and its commit notifies the listeners in this process once (`on_change`). Other processes poll `current()`.
"""

from collections.abc import Callable
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from core.models import CatalogModel, CatalogVersion

_ROW = 1
_listeners: list[Callable[[], None]] = []


def current() -> int:
    """Return the version number, which is higher after every committed change of the catalog."""
    row = CatalogVersion.objects.filter(pk=_ROW).values_list("number", flat=True).first()
    return row or 0


def bump() -> None:
    """Raise the number once in the running transaction, and notify this process after the commit.

    Call it for changes that send no signal (`QuerySet.update`, `bulk_create`). Saves and deletes need no call.
    """
    if _is_raised():
        return
    if not CatalogVersion.objects.filter(pk=_ROW).update(number=F("number") + 1):
        # The row does not exist yet. If another process creates it at the same time, both raise the number.
        CatalogVersion.objects.get_or_create(pk=_ROW)
        CatalogVersion.objects.filter(pk=_ROW).update(number=F("number") + 1)
    # Robust, because a failing listener must not look like a failed commit: everybody sees the new number later.
    transaction.on_commit(_notify_listeners, robust=True)


def hold() -> None:
    """Lock the catalog against other writers until the running transaction ends, waiting for the current one.

    For callers that read rows and then write them: no other writer can change them in between. The number stays
    unchanged.
    """
    if CatalogVersion.objects.select_for_update().filter(pk=_ROW).first() is None:
        bump()


def on_change(listener: Callable[[], None]) -> None:
    """Call `listener` after each committed change that this process made."""
    _listeners.append(listener)


def connect_signals() -> None:
    """Connect the receivers of Django's signals for saves and deletes."""
    pre_save.connect(_bump_before_change, dispatch_uid="catalog-saving")
    pre_delete.connect(_bump_before_change, dispatch_uid="catalog-deleting")
    post_save.connect(_bump_after_change, dispatch_uid="catalog-saved")
    post_delete.connect(_bump_after_change, dispatch_uid="catalog-deleted")


def _bump_before_change(sender: type[models.Model], using: str, **_: Any) -> None:
    # In autocommit mode the number is raised after the change: no lock would be held between the two statements.
    if issubclass(sender, CatalogModel) and transaction.get_connection(using).in_atomic_block:
        bump()


def _bump_after_change(sender: type[models.Model], using: str, **_: Any) -> None:
    # Within a transaction, `_bump_before_change` has raised the number.
    if issubclass(sender, CatalogModel) and not transaction.get_connection(using).in_atomic_block:
        bump()


def _is_raised() -> bool:
    """Say whether the running transaction has raised the number already.

    When a savepoint is rolled back, the number falls again and Django removes the savepoint's hooks from the list.
    """
    return any(hook is _notify_listeners for _, hook, _ in transaction.get_connection().run_on_commit)


def _notify_listeners() -> None:
    for listener in _listeners:
        listener()
