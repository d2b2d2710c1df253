"""The sinks that there are: those that the settings name, each by the dotted path of its class."""

from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string

from synapse.catalog.file import nearest, quoted
from synapse.delivery.sinks.base import Sink
from synapse.delivery.sinks.config import SinkConfig
from synapse.errors.delivery import BadConfig


def names() -> list[str]:
    """Return the names of all sinks."""
    return list(settings.BRIDGE_SINKS)


def find(name: str) -> type[Sink]:
    """Return the class of a sink.

    Raises:
        BadConfig: when there is none of this name; the field is `sink`.
    """
    if name not in settings.BRIDGE_SINKS:
        raise BadConfig({"sink": f"there is no sink {quoted(name)}; {nearest(name, names())}"})
    return cast(type[Sink], import_string(settings.BRIDGE_SINKS[name]))


def config_of(name: str, values: Mapping[str, Any]) -> SinkConfig:
    """Return the settings of a sink.

    Raises:
        BadConfig: when there is no such sink, or with a sentence for each setting that is wrong.
    """
    return find(name).Config.read(values)
