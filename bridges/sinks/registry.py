"""The registry of sinks. The settings name each with the dotted path of its class."""

from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string

from synapse.catalog.file import nearest, quote
from synapse.delivery.sink import Sink, SinkConfig
from synapse.errors.delivery import BadConfig


def sink_names() -> list[str]:
    """Return the names of all sinks."""
    return list(settings.BRIDGE_SINKS)


def find_sink(name: str) -> type[Sink]:
    """Return the class of a sink.

    Raises:
        BadConfig: when there is no sink with this name; the field is `sink`.
    """
    if name not in settings.BRIDGE_SINKS:
        raise BadConfig({"sink": f"there is no sink {quote(name)}; {nearest(name, sink_names())}"})
    return cast(type[Sink], import_string(settings.BRIDGE_SINKS[name]))


def config_of(name: str, values: Mapping[str, Any]) -> SinkConfig:
    """Return the settings of a sink.

    Raises:
        BadConfig: when there is no such sink, or a setting is invalid; it has a sentence for each error.
    """
    return find_sink(name).Config.read(values)


def sink_errors(sink: str, config: object, *, stream: str | None = None) -> dict[str, str]:
    """Return the errors in the choice of a sink and its settings, for a bridge that reads `stream`.

    The keys are `sink`, `config`, or `config.NAME` for one setting.
    """
    if not isinstance(config, Mapping):
        return {"config": "must hold the sink's settings by name"}
    try:
        read = config_of(sink, dict(config))
    except BadConfig as problem:
        return {field if field == "sink" else f"config.{field}": text for field, text in problem.errors.items()}
    return {
        f"config.{setting}": "is the stream that the bridge reads: its events would go in circles"
        for setting, name in read.streams().items()
        if name == stream
    }


def streams_of(sink: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the streams that a bridge writes to, by the setting that names each; none when the settings have other
    errors.
    """
    try:
        return dict(config_of(sink, config).streams())
    except BadConfig:
        return {}
