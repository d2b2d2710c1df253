"""Streams, event types, services and grants in a catalog file: its sections `streams` and `services`.

Reading the file checks its values. Planning the changes reports errors that only the database can show. It accepts what
the database already holds, such as an example that a newer version of its contract refuses or a grant for a deleted
stream, so that an unchanged export plans no change.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

from django.core.exceptions import ValidationError

from contracts import catalog as contracts
from contracts.models import Contract
from core import audit, catalog_version
from streams.models import EventType, Grant, Service, Stream
from streams.models.access import validate_pattern
from synapse.auth.principal import Principal
from synapse.catalog import summaries
from synapse.catalog.file import CatalogFile, Item, nearest, quote
from synapse.catalog.ownership import OWNERSHIP_FIELDS
from synapse.catalog.plan import Change, Values, compare, is_equal
from synapse.catalog.stream_definitions import STREAM_FIELDS
from synapse.publishing.event_files import complaints

STREAM, EVENT_TYPE, SERVICE, GRANT = KINDS = ("stream", "event type", "service", "grant")
SECTIONS = ("streams", "services")

_PATTERN_RULE = "1 to 100 letters, digits, and . _ : - *"
EVENT_TYPE_KEYS = ("name", "description", *(field.name for field in OWNERSHIP_FIELDS), "schema", "contract", "example")
STREAM_KEYS = ("name", *(field.name for field in STREAM_FIELDS), "event_types")
# The keys under which a service lists its grants, each with the action.
LISTS = {"publishes": Grant.Action.PUBLISH.value, "subscribes": Grant.Action.SUBSCRIBE.value}


def read(file: CatalogFile) -> None:
    """Read and check the sections `streams` and `services` of a catalog file."""
    for item in file.section("streams"):
        _read_stream(item)
    for item in file.section("services"):
        _read_service(item)


def grant_name(values: Values) -> str:
    """Return the name of a grant, which equals `str()` of the model."""
    return f"{values['service']} may {values['action']} {values['stream']}/{values['event_type']}"


def _read_stream(item: Item) -> None:
    item.refuse_other_keys(*STREAM_KEYS)
    values = {field.name: item.setting(field) for field in STREAM_FIELDS}
    _check_lengths(item, values)
    try:
        summaries.parse_summaries(values["summaries"])
    except summaries.BadSummary as problem:
        item.refuse("summaries", str(problem))
    name = item.name("name")
    if name is not None:
        item.file.add(STREAM, name, values, item.place)
    # Read even if the stream's name is invalid, so that all errors are reported together.
    for event_type in item.items("event_types"):
        _read_event_type(event_type, name)


def _check_lengths(item: Item, values: dict[str, Any]) -> None:
    try:
        Stream(max_length=values["max_length"], hard_length=values["hard_length"]).clean()
    except ValidationError as error:
        item.refuse("hard_length", " ".join(error.messages))


def _read_event_type(item: Item, stream: str | None) -> None:
    item.refuse_other_keys(*EVENT_TYPE_KEYS)
    values = {"description": item.text("description") or "", "example": item.values.get("example")}
    values |= {field.name: item.setting(field) for field in OWNERSHIP_FIELDS}
    subject, schema, name = item.text("contract"), contracts.read_schema(item), item.name("name")
    own = item.has("schema")
    if own and item.has("contract"):
        item.refuse("contract", "the event type has a schema of its own; leave one of the two out")
    if name is None or stream is None:
        return
    if own:
        subject = EventType(stream=Stream(name=stream), name=name).own_subject
    values |= {"stream": stream, "name": name, "contract": subject}
    if item.file.add(EVENT_TYPE, f"{stream}/{name}", values, item.place) and own:
        item.file.add(contracts.CONTRACT, str(subject), schema, item.place)


def _read_service(item: Item) -> None:
    item.refuse_other_keys("name", "description", *LISTS)
    name = item.name("name")
    if name is not None:
        item.file.add(SERVICE, name, {"description": item.text("description") or ""}, item.place)
    for key, action in LISTS.items():
        for grant in item.items(key):
            _read_grant(grant, name, action)


def _read_grant(item: Item, service: str | None, action: str) -> None:
    item.refuse_other_keys("stream", "event_type")
    stream = item.name("stream", valid=_is_pattern, rule=_PATTERN_RULE)
    event_type = "*"
    if item.has("event_type"):
        event_type = item.name("event_type", valid=_is_pattern, rule=_PATTERN_RULE) or "*"
    if service is None or stream is None:
        return
    values = {"service": service, "action": action, "stream": stream, "event_type": event_type}
    item.file.add(GRANT, grant_name(values), values, item.place)


def _is_pattern(text: str) -> bool:
    try:
        validate_pattern(text)
    except ValidationError:
        return False
    return True


def load_streams() -> dict[str, Values]:
    """Return every stream by name."""
    rows = Stream.objects.values("name", *(field.name for field in STREAM_FIELDS))
    found = {row["name"]: {field.name: field.to_file(row[field.name]) for field in STREAM_FIELDS} for row in rows}
    return dict(sorted(found.items()))


def load_event_types() -> dict[str, Values]:
    """Return every event type by `stream/name`. `contract` is a subject or None."""
    owned = [field.name for field in OWNERSHIP_FIELDS]
    rows = EventType.objects.order_by().values_list(
        "stream__name", "name", "description", *owned, "contract__subject", "example"
    )
    keys = ("stream", "name", "description", *owned, "contract", "example")
    found = [dict(zip(keys, row, strict=True)) for row in rows]
    return {f"{each['stream']}/{each['name']}": each for each in sorted(found, key=itemgetter("stream", "name"))}


def load_services() -> dict[str, Values]:
    """Return every service by name."""
    rows = Service.objects.values_list("name", "description")
    return {name: {"description": description} for name, description in sorted(rows)}


def load_grants() -> dict[str, Values]:
    """Return every grant by its name."""
    rows = Grant.objects.order_by().values_list("service__name", "action", "stream", "event_type")
    found = [dict(zip(("service", "action", "stream", "event_type"), row, strict=True)) for row in sorted(rows)]
    return {grant_name(each): each for each in found}


_Section = list[dict[str, Any]]
_OF_EVENT_TYPE = {"description": "", **{field.name: field.to_file(field.default) for field in OWNERSHIP_FIELDS}}
_DEFAULTS = {field.name: field.to_file(field.default) for field in STREAM_FIELDS}


def export(document: dict[str, Any]) -> None:
    """Add the sections `streams` and `services` to the document of an export.

    The schema of a contract that only one event type uses, under its own subject, is written with the event type and
    removed from the section `contracts`. The section is removed when it becomes empty.
    """
    document["streams"] = _export_streams(document)
    document["services"] = _export_services()
    if not document["contracts"]:
        del document["contracts"]


def _export_streams(document: dict[str, Any]) -> _Section:
    event_types = load_event_types().values()
    uses = Counter(values["contract"] for values in event_types)
    own = {
        item["subject"]: item["schema"]
        for item in document["contracts"]
        if item.keys() == {"subject", "schema"} and uses[item["subject"]] == 1
    }
    written: dict[str, _Section] = {}
    inside = set()
    for values in event_types:
        item = _without_defaults({key: values[key] for key in ("name", *_OF_EVENT_TYPE)}, _OF_EVENT_TYPE)
        subject = values["contract"]
        if subject == f"{values['stream']}.{values['name']}" and subject in own:
            item["schema"] = own[subject]
            inside.add(subject)
        elif subject is not None:
            item["contract"] = subject
        if values["example"] is not None:
            # PostgreSQL does not keep the order of properties. `event_type` is put first, where people write it.
            item["example"] = dict(sorted(values["example"].items(), key=lambda pair: pair[0] != "event_type"))
        written.setdefault(values["stream"], []).append(item)
    document["contracts"] = [item for item in document["contracts"] if item["subject"] not in inside]
    return [_export_stream(name, values, written.get(name)) for name, values in load_streams().items()]


def _export_stream(name: str, values: Values, event_types: _Section | None) -> dict[str, Any]:
    item = {"name": name, **_without_defaults(values, _DEFAULTS)}
    return {**item, "event_types": event_types} if event_types else item


def _export_services() -> _Section:
    lists: dict[tuple[str, str], _Section] = {}
    for values in load_grants().values():
        item = _without_defaults({key: values[key] for key in ("stream", "event_type")}, {"event_type": "*"})
        lists.setdefault((values["service"], values["action"]), []).append(item)
    services = []
    for name, values in load_services().items():
        service = _without_defaults({"name": name, **values}, {"description": ""})
        service |= {key: lists[name, action] for key, action in LISTS.items() if (name, action) in lists}
        services.append(service)
    return services


def _without_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}


_Definitions = Mapping[str, Values]
_OWNED = tuple(field.name for field in OWNERSHIP_FIELDS)


def plan(file: CatalogFile, *, delete: bool) -> list[Change]:
    """Return the changes from the database to the file, and add errors to the file."""
    streams, event_types, grants = load_streams(), load_event_types(), load_grants()
    delete_streams = delete and file.has_section("streams")
    delete_services = delete and file.has_section("services")
    _check_contracts(file, event_types)
    _check_grants(file, set(file.definitions_of(STREAM)) | (set() if delete_streams else set(streams)), grants)
    return [
        *compare(STREAM, file.definitions_of(STREAM), streams, delete=delete_streams),
        *compare(EVENT_TYPE, file.definitions_of(EVENT_TYPE), event_types, delete=delete_streams),
        *compare(SERVICE, file.definitions_of(SERVICE), load_services(), delete=delete_services),
        *compare(GRANT, file.definitions_of(GRANT), grants, delete=delete_services),
    ]


def _check_contracts(file: CatalogFile, event_types: _Definitions) -> None:
    """Check that each event type's contract exists, and that the contract accepts the example."""
    standing = contracts.current_states()
    wanted = file.definitions_of(contracts.CONTRACT)
    for name, values in file.definitions_of(EVENT_TYPE).items():
        subject = values["contract"]
        place = file.place_of(EVENT_TYPE, name)
        if subject is not None and subject not in wanted and subject not in standing:
            known = {*wanted, *standing}
            file.refuse((*place, "contract"), f"there is no contract {quote(subject)}; {nearest(subject, known)}")
        old = standing[subject].schema if subject in standing else None
        new = wanted.get(subject, {}).get("schema", old) if subject else None
        before = event_types.get(name)
        if (
            before
            and before["contract"] == subject
            and is_equal(before["example"], values["example"])
            and is_equal(old, new)
        ):
            continue
        for pointer, message in complaints(values, new):
            file.refuse((*place, "example"), message, pointer)


def _check_grants(file: CatalogFile, streams: set[str], grants: _Definitions) -> None:
    """Check that the streams of new grants exist. Patterns are not checked: they may match no stream yet."""
    for name, values in file.definitions_of(GRANT).items():
        stream = values["stream"]
        if "*" not in stream and stream not in streams and name not in grants:
            message = f"there is no stream {quote(stream)}; {nearest(stream, streams)}"
            file.refuse((*file.place_of(GRANT, name), "stream"), message)


# A row as two dicts: the columns that identify it, and its other columns.
_Row = tuple[dict[str, Any], dict[str, Any]]


def apply(changes: Sequence[Change], *, by: Principal) -> None:
    """Apply changes of the plan in the caller's transaction, and record them in the audit log.

    Consecutive creations of one kind take few statements.
    """
    for (action, kind), group in groupby(changes, key=attrgetter("action", "kind")):
        same = list(group)
        model, row_of = _MODELS[kind]
        rows = row_of(same)
        if action == "create":
            catalog_version.bump()
            model.objects.bulk_create(model(**key, **columns) for key, columns in rows)
        else:
            for key, columns in rows:
                _change_row(model.objects.get(**key), columns if action == "update" else None)
        audit.record_all(by, action, [(f"{kind} {each.name}", each.before, each.after) for each in same])


def _rows_of_streams(changes: Sequence[Change]) -> list[_Row]:
    rows = []
    for change in changes:
        columns = dict(change.after or {})
        changed = (field for field in STREAM_FIELDS if field.name in columns)
        columns |= {field.name: field.from_file(columns[field.name]) for field in changed}
        rows.append(({"name": change.name}, columns))
    return rows


def _rows_of_event_types(changes: Sequence[Change]) -> list[_Row]:
    names = [change.name.split("/") for change in changes]
    streams = Stream.objects.in_bulk(list({stream for stream, _ in names}), field_name="name")
    subjects = {subject for change in changes if (subject := (change.after or {}).get("contract")) is not None}
    contracts: dict[str | None, Contract | None] = {None: None}
    contracts |= Contract.objects.in_bulk(list(subjects), field_name="subject")
    rows = []
    for change, (stream, name) in zip(changes, names, strict=True):
        columns = _select_keys(change.after or {}, ("description", *_OWNED, "example"))
        if "contract" in (change.after or {}):
            columns["contract"] = contracts[(change.after or {})["contract"]]
        rows.append(({"stream": streams[stream], "name": name}, columns))
    return rows


def _rows_of_services(changes: Sequence[Change]) -> list[_Row]:
    return [({"name": change.name}, dict(change.after or {})) for change in changes]


def _rows_of_grants(changes: Sequence[Change]) -> list[_Row]:
    # All columns of a grant identify it, so grants are created or deleted, never changed.
    values = [change.before or change.after or {} for change in changes]
    services = Service.objects.in_bulk(list({each["service"] for each in values}), field_name="name")
    return [
        ({"service": services[each["service"]], **_select_keys(each, ("action", "stream", "event_type"))}, {})
        for each in values
    ]


_MODELS: dict[str, tuple[Any, Callable[[Sequence[Change]], list[_Row]]]] = {
    STREAM: (Stream, _rows_of_streams),
    EVENT_TYPE: (EventType, _rows_of_event_types),
    SERVICE: (Service, _rows_of_services),
    GRANT: (Grant, _rows_of_grants),
}


def _change_row(row: Any, columns: dict[str, Any] | None) -> None:
    """Update the columns of a row; delete the row when `columns` is None."""
    if columns is None:
        row.delete()
        return
    for column, value in columns.items():
        setattr(row, column, value)
    row.save()


def _select_keys(values: Values, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}
