"""From the database to the sections of a catalog file. What has its default is left out."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from streams.catalog import database
from streams.catalog.file import LISTS, STREAM_KEYS, default_of
from synapse.catalog.plan import Values

_Section = list[dict[str, Any]]
# The order of a stream's keys in the file.
_STREAM_KEYS = tuple(key for key in STREAM_KEYS if key not in ("name", "purpose", "event_types"))


def export(document: dict[str, Any]) -> None:
    """Add the sections `streams` and `services`.

    The schema of a contract that belongs to one event type alone is written there, and its contract taken out of the
    section `contracts`, which goes when it is empty.
    """
    document["streams"] = _streams(document)
    document["services"] = _services()
    if not document["contracts"]:
        del document["contracts"]


def _streams(document: dict[str, Any]) -> _Section:
    event_types = database.event_types().values()
    uses = Counter(values["contract"] for values in event_types)
    own = {
        item["subject"]: item["schema"]
        for item in document["contracts"]
        if item.keys() == {"subject", "schema"} and uses[item["subject"]] == 1
    }
    written: dict[str, _Section] = {}
    inside = set()
    for values in event_types:
        item = _without_defaults({"name": values["name"], "description": values["description"]}, {"description": ""})
        subject = values["contract"]
        if subject == f"{values['stream']}.{values['name']}" and subject in own:
            item["schema"] = own[subject]
            inside.add(subject)
        elif subject is not None:
            item["contract"] = subject
        if values["example"] is not None:
            item["example"] = values["example"]
        written.setdefault(values["stream"], []).append(item)
    document["contracts"] = [item for item in document["contracts"] if item["subject"] not in inside]
    return [_stream(name, values, written.get(name)) for name, values in database.streams().items()]


def _stream(name: str, values: Values, event_types: _Section | None) -> dict[str, Any]:
    defaults = {"purpose": "", **{key: default_of(key) for key in _STREAM_KEYS}}
    item = _without_defaults({"name": name, "purpose": values["purpose"]}, defaults)
    item |= _without_defaults({key: values[key] for key in _STREAM_KEYS}, defaults)
    return {**item, "event_types": event_types} if event_types else item


def _services() -> _Section:
    lists: dict[tuple[str, str], _Section] = {}
    for values in database.grants().values():
        item = _without_defaults({key: values[key] for key in ("stream", "event_type")}, {"event_type": "*"})
        lists.setdefault((values["service"], values["action"]), []).append(item)
    services = []
    for name, values in database.services().items():
        service = _without_defaults({"name": name, **values}, {"description": ""})
        service |= {key: lists[name, action] for key, action in LISTS.items() if (name, action) in lists}
        services.append(service)
    return services


def _without_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}
