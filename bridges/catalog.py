"""The section `bridges` of a catalog file."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import CharField, F, Value
from django.db.models.functions import Concat

from bridges.models import Bridge, OpenedGroup, validate_event_types
from bridges.sinks import registry
from bridges.sinks.registry import sink_errors, streams_of
from core import audit
from streams.catalog import STREAM
from streams.models import Stream
from synapse.auth.principal import Principal
from synapse.catalog.bridge_definitions import BRIDGE_FIELDS, EVENT_TYPES, PULL, START
from synapse.catalog.fields import Field
from synapse.catalog.file import CatalogFile, Item, nearest, quote
from synapse.catalog.plan import Change, Values, compare
from synapse.formats.exact_json import is_integer

BRIDGE = "bridge"
KINDS = (BRIDGE,)
SECTIONS = ("bridges",)

# The columns with unique values. While bridges exchange names or groups, each has a temporary name and group.
_UNIQUE = ("name", "stream", "group")
_TEMPORARY_NAME = Concat(Value("syn:moving:"), F("pk"), output_field=CharField())

BRIDGE_KEYS = ("name", "stream", "group", "sink", "config", *(field.name for field in BRIDGE_FIELDS))
# The columns that the model's validators check.
_CHECKED = tuple(field.name for field in BRIDGE_FIELDS if field is not EVENT_TYPES)


def read(file: CatalogFile) -> None:
    """Read and check the section `bridges` of a catalog file."""
    for item in file.section("bridges"):
        item.refuse_other_keys(*BRIDGE_KEYS)
        name, stream, group = item.name("name"), item.name("stream"), item.name("group")
        values = {
            "stream": stream,
            "group": group,
            **_read_sink(item, stream),
            **{field.name: _read_setting(item, field) for field in BRIDGE_FIELDS},
        }
        _check_fields(item, values)
        if not item.has("paused"):
            # Operators pause bridges, so a file without the key leaves it unchanged.
            del values["paused"]
        if None not in (name, stream, group):
            file.add(BRIDGE, str(name), values, item.place)


def plan(file: CatalogFile, *, delete: bool) -> list[Change]:
    """Return the changes from the database to the file, and add errors to the file. Bridges of deleted streams are
    deleted, too.
    """
    current, wanted = _load_bridges(), file.definitions_of(BRIDGE)
    may_delete = delete and file.has_section("bridges")
    used = {name: _streams_of_bridge(values) for name, values in wanted.items()}
    asked = {stream for places in used.values() for stream in places.values()}
    kept = _find_remaining_streams(file, asked | {values["stream"] for values in current.values()}, delete=delete)
    for name, places in used.items():
        for place, stream in places.items():
            if stream not in kept:
                message = f"there is no stream {quote(stream)}; {nearest(stream, kept)}"
                file.refuse((*file.place_of(BRIDGE, name), *place), message)
    _check_groups(file, wanted, {} if may_delete else current)
    changes = _merge_renames(compare(BRIDGE, wanted, current, delete=may_delete), current, wanted)
    if not may_delete:
        orphans = (name for name, values in current.items() if name not in wanted and values["stream"] not in kept)
        changes += [Change(action="delete", kind=BRIDGE, name=name, before=current[name]) for name in orphans]
    return changes


def apply(changes: Sequence[Change], *, by: Principal) -> None:
    """Apply changes of the plan in the caller's transaction, and record them in the audit log."""
    updated = {change.name: dict(change.after or {}) for change in changes if change.action == "update"}
    rows = {row.name: row for row in Bridge.objects.filter(name__in=updated)}
    # Bridges may exchange groups and names, but the database checks its constraints after each statement.
    moving = [rows[name].pk for name, columns in updated.items() if not columns.keys().isdisjoint(_UNIQUE)]
    Bridge.objects.filter(pk__in=moving).update(name=_TEMPORARY_NAME, group=_TEMPORARY_NAME)
    for change in changes:
        columns = dict(change.after or {})
        if "stream" in columns:
            columns["stream"] = Stream.objects.get(name=columns["stream"])
        if change.action == "create":
            Bridge.objects.create(name=change.name, **columns)
        elif change.action == "delete":
            Bridge.objects.get(name=change.name).delete()
        else:
            row = rows[change.name]
            for column, value in columns.items():
                setattr(row, column, value)
            row.save()
            if "name" in columns and row.sink == PULL:
                OpenedGroup.objects.filter(bridge=row).delete()
        audit.record(by, change.action, f"{BRIDGE} {change.name}", before=change.before, after=change.after)


def _merge_renames(
    changes: Sequence[Change], current: Mapping[str, Values], wanted: Mapping[str, Values]
) -> list[Change]:
    """Merge the removal of a bridge and the addition of one with the same group into a rename."""
    gone = {_group_of(current[change.name]): change.name for change in changes if change.action == "delete"}
    new = {change.name: _group_of(wanted[change.name]) for change in changes if change.action == "create"}
    renamed = {name: gone[group] for name, group in new.items() if group in gone}
    found = [change for change in changes if change.name not in {*renamed, *renamed.values()}]
    for name, before in renamed.items():
        found += compare(
            BRIDGE,
            {before: {"name": name, **wanted[name]}},
            {before: {"name": before, **current[before]}},
            delete=False,
        )
    return found


def _group_of(values: Values) -> tuple[str, str]:
    return values["stream"], values["group"]


def adopt(file: CatalogFile) -> None:
    """Stop the expiry of groups that reads opened and that the file now defines."""
    if pulled := [name for name, values in file.definitions_of(BRIDGE).items() if values.get("sink") == PULL]:
        OpenedGroup.objects.filter(bridge__name__in=pulled).delete()


def export(document: dict[str, Any]) -> None:
    """Add the section `bridges` to an export if there are bridges, without values that equal their defaults."""
    if current := _load_bridges():
        document["bridges"] = [
            {
                "name": name,
                **{key: value for key, value in values.items() if key not in _DEFAULTS or value != _DEFAULTS[key]},
            }
            for name, values in current.items()
        ]


_DEFAULTS = {**{field.name: field.to_file(field.default) for field in BRIDGE_FIELDS}, "config": {}}


def _load_bridges() -> dict[str, Values]:
    """Return every bridge by name, in the form of a catalog file."""
    rows = Bridge.objects.order_by("name").values("name", "stream__name", *(set(BRIDGE_KEYS) - {"name", "stream"}))
    return {
        row["name"]: {
            key: sorted(row[key]) if key == "event_types" else row["stream__name" if key == "stream" else key]
            for key in BRIDGE_KEYS
            if key != "name"
        }
        for row in rows
    }


def _streams_of_bridge(values: Values) -> dict[tuple[str, ...], str]:
    """Return the streams that a bridge reads and writes, by the path of the key that names each."""
    written = streams_of(values["sink"], values["config"]) if values["sink"] else {}
    return {("stream",): values["stream"], **{("config", setting): name for setting, name in written.items()}}


def _find_remaining_streams(file: CatalogFile, asked: set[str], *, delete: bool) -> set[str]:
    """Return the streams that exist after the change: those of the file and, unless the file has all that are used,
    those that remain in the database.
    """
    named = set(file.definitions_of(STREAM))
    if asked <= named or (delete and file.has_section("streams")):
        return named
    return named | set(Stream.objects.values_list("name", flat=True))


def _read_event_types(item: Item) -> list[str]:
    names = item.values.get("event_types")
    if names is None:
        return []
    try:
        validate_event_types(names)
    except ValidationError as error:
        item.refuse("event_types", " ".join(error.messages))
        return []
    return sorted(names)


def _read_setting(item: Item, field: Field) -> Any:
    if field is EVENT_TYPES:
        return _read_event_types(item)
    # The id of an entry may be written as milliseconds only.
    if field is START and is_integer(value := item.values.get(field.name)):
        return str(value)
    return item.setting(field)


def _read_sink(item: Item, stream: str | None) -> dict[str, Any]:
    known = registry.sink_names()
    sink = item.name("sink", valid=lambda text: text in known, rule=f"known here: {', '.join(known)}")
    config = item.mapping("config") or {}
    if sink is not None:
        for field, text in sink_errors(sink, config, stream=stream).items():
            item.file.refuse((*item.place, *field.split(".", 1)), text)
    return {"sink": sink, "config": config}


def _check_fields(item: Item, values: Mapping[str, Any]) -> None:
    row = Bridge(**{key: values[key] for key in _CHECKED})
    exclude = [field.name for field in Bridge._meta.fields if field.name not in _CHECKED]
    try:
        row.clean_fields(exclude=exclude)
        row.clean()
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            item.refuse(field, " ".join(messages))


def _check_groups(file: CatalogFile, wanted: Mapping[str, Values], others: Mapping[str, Values]) -> None:
    """Check that no two bridges read as the same group, because each would get only a part of the events."""
    taken = {(values["stream"], values["group"]): name for name, values in others.items() if name not in wanted}
    for name, values in wanted.items():
        first = taken.setdefault((values["stream"], values["group"]), name)
        if first != name:
            place = (*file.place_of(BRIDGE, name), "group")
            file.refuse(place, f"the bridge {quote(first)} reads {values['stream']} as this group already")
