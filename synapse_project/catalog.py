"""The catalog as one file, composed of the parts of the apps. `docs/catalog.md` describes the file."""

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from django.db import transaction

import alerts.catalog
import bridges.catalog
import contracts.catalog
import streams.catalog
from core import catalog_version
from synapse.auth.principal import Principal
from synapse.catalog import yaml as catalog_yaml
from synapse.catalog.file import BadCatalog, CatalogError, CatalogFile
from synapse.catalog.plan import Change
from synapse.catalog.yaml import Source

# A file with more errors than this is probably not a catalog.
_MOST_MISTAKES = 100
ACTOR = Principal(kind="system", name="catalog")


class Part(Protocol):
    """The interface of an app's part of the catalog.

    `KINDS` are ordered by dependency: creations follow the order, deletions the reverse order.
    """

    @property
    def KINDS(self) -> Sequence[str]: ...
    @property
    def SECTIONS(self) -> Sequence[str]: ...

    def read(self, file: CatalogFile) -> None:
        """Read the part's sections: add their definitions and errors to `file`."""

    def plan(self, file: CatalogFile, *, delete: bool) -> list[Change]:
        """Return the changes to apply. Add errors that only the database reveals to `file`."""

    def apply(self, changes: Sequence[Change], *, by: Principal) -> None:
        """Apply changes of the part's kinds, in their order and in the running transaction, with audit entries."""

    def export(self, document: dict[str, Any]) -> None:
        """Add the part's sections to the document. Parts are called in order, and may move entries of earlier ones."""


# Apps that others depend on come first. A new app is added here.
PARTS: tuple[Part, ...] = (
    contracts.catalog,
    streams.catalog,
    # Inserted before the last one, whose deletions come first.
    alerts.catalog,
    bridges.catalog,
)
_PART_OF = {kind: part for part in PARTS for kind in part.KINDS}
_ORDER = {kind: index for index, kind in enumerate(_PART_OF)}


class Catalog:
    """A valid catalog file, ready to be compared and applied."""

    def __init__(self, data: bytes, *, name: str) -> None:
        """Parse a catalog file. `name` is used in messages.

        Raises:
            BadCatalog: with every error.
        """
        self._name = name
        self._source = _read_source(data, name)
        sections = [section for part in PARTS for section in part.SECTIONS]
        self._file = CatalogFile(self._source.value, sections, self._source.errors)
        for part in PARTS:
            part.read(self._file)

    def plan(self, *, delete: bool = False) -> list[Change]:
        """Return the changes that `apply` would make, in order.

        The changes are applied in a transaction that is rolled back, so that `plan` refuses what `apply` would refuse.

        Raises:
            BadCatalog: with every error.
        """
        return self._apply_changes(delete=delete, only_new=False, keep=False)

    def apply(self, *, delete: bool = False, only_new: bool = False) -> list[Change]:
        """Apply the file to the database in one transaction, and return the changes.

        Definitions that the file does not name are deleted only with `delete`. With `only_new`, missing definitions are
        created, and existing ones stay unchanged.

        Raises:
            BadCatalog: with every error.
        """
        return self._apply_changes(delete=delete, only_new=only_new, keep=True)

    def _apply_changes(self, *, delete: bool, only_new: bool, keep: bool) -> list[Change]:
        """Apply the changes, and roll them back unless `keep`."""
        chosen = self._plan_changes(delete, only_new)
        if keep:
            bridges.catalog.adopt(self._file)
        if not chosen:
            return []
        with transaction.atomic():
            # Raising the number waits for concurrent calls. One of them may have made the changes, so they are planned
            # again.
            catalog_version.bump()
            changes = self._plan_changes(delete, only_new)
            for part, group in groupby(changes, key=lambda change: _PART_OF[change.kind]):
                part.apply(list(group), by=ACTOR)
            if not (changes and keep):
                transaction.set_rollback(True)
        return changes

    def _plan_changes(self, delete: bool, only_new: bool) -> list[Change]:
        """Return the differences between file and database, in the order in which they can be applied."""
        # The database is compared even if errors are known already, so that all errors are reported at once.
        known = list(self._file.errors)
        try:
            changes = [change for part in PARTS for change in part.plan(self._file, delete=delete)]
            self._raise_errors(self._file.errors)
        finally:
            self._file.errors[:] = known
        return sorted((change for change in changes if change.action == "create" or not only_new), key=_rank_of)

    def _raise_errors(self, mistakes: Sequence[CatalogError]) -> None:
        if not mistakes:
            return
        found = sorted((self._line_of(mistake), str(mistake)) for mistake in mistakes[:_MOST_MISTAKES])
        lines = [f"line {line}: {text}" for line, text in found]
        if len(mistakes) > _MOST_MISTAKES:
            lines.append(f"… and {len(mistakes) - _MOST_MISTAKES} more")
        count = "one error" if len(mistakes) == 1 else f"{len(mistakes)} errors"
        raise BadCatalog(f"{self._name} has {count}", lines)

    def _line_of(self, mistake: CatalogError) -> int:
        if mistake.line is not None:
            return mistake.line
        parts = (part.replace("~1", "/").replace("~0", "~") for part in mistake.pointer.split("/")[1:])
        return self._source.line_of((*mistake.place, *parts))


def load(path: str) -> Catalog:
    """Load the catalog from a file; “-” is the standard input.

    Raises:
        BadCatalog: when the file cannot be read, or is not a catalog.
    """
    limit = catalog_yaml.MAX_BYTES + 1
    if path == "-":
        return Catalog(sys.stdin.buffer.read(limit), name="the standard input")
    try:
        with Path(path).open("rb") as file:
            return Catalog(file.read(limit), name=path)
    except OSError as error:
        raise BadCatalog(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def export() -> str:
    """Return the database's catalog as the text of a file. Planning that file results in no changes.

    Raises:
        BadCatalog: when the text would be longer than `catalog_yaml.MAX_BYTES`.
    """
    document: dict[str, Any] = {}
    for part in PARTS:
        part.export(document)
    text = catalog_yaml.dump_yaml(document)
    if (size := len(text.encode())) > catalog_yaml.MAX_BYTES:
        raise BadCatalog(f"The catalog would be a file of {size} bytes; at most {catalog_yaml.MAX_BYTES} can be read")
    return text


def _read_source(data: bytes, name: str) -> Source:
    try:
        source = catalog_yaml.parse_yaml(data)
    except BadCatalog as error:
        raise BadCatalog(f"{name} cannot be read: {error.detail}") from None
    if not isinstance(source.value, dict):
        sections = ", ".join(section for part in PARTS for section in part.SECTIONS)
        raise BadCatalog(f"{name} is no catalog: it must be a mapping with the sections {sections}")
    return source


def _rank_of(change: Change) -> tuple[int, int]:
    """Return the sort key of a change. Creations are ordered by dependency; deletions come last, in reverse order.

    The exception is the last kind, on which nothing depends. It is deleted first, because its replacement would
    conflict with it.
    """
    order = _ORDER[change.kind]
    if change.action != "delete":
        return 1, order
    return (0, 0) if order == len(_ORDER) - 1 else (2, -order)
