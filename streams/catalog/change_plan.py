"""The difference between a file and the database, and what is wrong with the file that only the database can tell.

What the database holds already is not complained of, so that an export always plans to no change: an example that a
newer version of its contract made wrong, a grant whose stream was deleted.
"""

from collections.abc import Mapping

from contracts import catalog as contracts
from streams.catalog import database
from streams.catalog.file import (
    EVENT_TYPE,
    GRANT,
    SERVICE,
    STREAM,
)
from synapse.catalog.file import CatalogFile, nearest, quoted
from synapse.catalog.plan import (
    Change,
    Values,
    compare,
    same,
)
from synapse.publishing.examples import complaints

_Definitions = Mapping[str, Values]


def plan(file: CatalogFile, *, delete: bool) -> list[Change]:
    """Return what would change, and note in the file what is wrong with it."""
    streams, event_types, grants = database.streams(), database.event_types(), database.grants()
    delete_streams = delete and file.says("streams")
    delete_services = delete and file.says("services")
    _check_contracts(file, event_types)
    _check_grants(file, set(file.wanted(STREAM)) | (set() if delete_streams else set(streams)), grants)
    return [
        *compare(STREAM, file.wanted(STREAM), streams, delete=delete_streams),
        *compare(EVENT_TYPE, file.wanted(EVENT_TYPE), event_types, delete=delete_streams),
        *compare(SERVICE, file.wanted(SERVICE), database.services(), delete=delete_services),
        *compare(GRANT, file.wanted(GRANT), grants, delete=delete_services),
    ]


def _check_contracts(file: CatalogFile, event_types: _Definitions) -> None:
    """Check that each event type's contract is there, and that its example keeps it."""
    standing = contracts.standing()
    wanted = file.wanted(contracts.CONTRACT)
    for name, values in file.wanted(EVENT_TYPE).items():
        subject = values["contract"]
        place = file.place_of(EVENT_TYPE, name)
        if subject is not None and subject not in wanted and subject not in standing:
            known = {*wanted, *standing}
            file.refuse((*place, "contract"), f"there is no contract {quoted(subject)}; {nearest(subject, known)}")
        old = standing[subject].schema if subject in standing else None
        new = wanted.get(subject, {}).get("schema", old) if subject else None
        before = event_types.get(name)
        if before and before["contract"] == subject and same(before["example"], values["example"]) and same(old, new):
            continue
        for pointer, message in complaints(values, new):
            file.refuse((*place, "example"), message, pointer)


def _check_grants(file: CatalogFile, streams: set[str], grants: _Definitions) -> None:
    """Check that the streams that new grants name are there. A pattern may match none yet."""
    for name, values in file.wanted(GRANT).items():
        stream = values["stream"]
        if "*" not in stream and stream not in streams and name not in grants:
            message = f"there is no stream {quoted(stream)}; {nearest(stream, streams)}"
            file.refuse((*file.place_of(GRANT, name), "stream"), message)
