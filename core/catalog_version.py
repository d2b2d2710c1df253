"""The catalog's version number, and the listeners that are told when it rises.

A save or delete of any `CatalogModel` raises the number in the same transaction, so no crash can keep the change and
lose the number. It is raised before the first row is written: every writer of the catalog takes this one lock first, so
concurrent writers wait for each other in one order and cannot deadlock. A transaction raises it once, however many rows
it writes, and its commit tells this process once (`on_change`); others read `current()`.
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

    For changes that send no signal (`QuerySet.update`, `bulk_create`); saves and deletes do it by themselves.
    """
    if _is_raised():
        return
    if not CatalogVersion.objects.filter(pk=_ROW).update(number=F("number") + 1):
        # The first change of all. Another process may be making the row too: then both raise it.
        CatalogVersion.objects.get_or_create(pk=_ROW)
        CatalogVersion.objects.filter(pk=_ROW).update(number=F("number") + 1)
    # Robust: the change is committed, and processes that missed the notification will see the number.
    transaction.on_commit(_tell, robust=True)


def hold() -> None:
    """Lock the catalog against other writers until the running transaction ends, waiting for the current one.

    For callers that read what they will write: no other writer comes between the two. The number stays unchanged.
    """
    if CatalogVersion.objects.select_for_update().filter(pk=_ROW).first() is None:
        bump()


def on_change(listener: Callable[[], None]) -> None:
    """Call `listener` after each committed change that this process made."""
    _listeners.append(listener)


def watch() -> None:
    """Connect the one signal receiver of the project."""
    pre_save.connect(_changing, dispatch_uid="catalog-saving")
    pre_delete.connect(_changing, dispatch_uid="catalog-deleting")
    post_save.connect(_changed, dispatch_uid="catalog-saved")
    post_delete.connect(_changed, dispatch_uid="catalog-deleted")


def _changing(sender: type[models.Model], using: str, **_: Any) -> None:
    # Alone, a statement is its own transaction: nothing is held that others could wait for.
    if issubclass(sender, CatalogModel) and transaction.get_connection(using).in_atomic_block:
        bump()


def _changed(sender: type[models.Model], using: str, **_: Any) -> None:
    # Within a transaction, the signal before the change has raised it.
    if issubclass(sender, CatalogModel) and not transaction.get_connection(using).in_atomic_block:
        bump()


def _is_raised() -> bool:
    """Say whether the running transaction has raised the number already.

    A savepoint that is rolled back lowers the number again and takes its hooks out of this list.
    """
    return any(hook is _tell for _, hook, _ in transaction.get_connection().run_on_commit)


def _tell() -> None:
    for listener in _listeners:
        listener()
