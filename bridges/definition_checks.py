"""What is wrong with a bridge's definition beyond its own columns: for every edge through which one enters."""

from collections.abc import Mapping
from typing import Any

from bridges.sinks import registry
from synapse.errors.delivery import BadConfig


def sink_errors(sink: str, config: object, *, stream: str | None = None) -> dict[str, str]:
    """Return what is wrong with the choice of a sink and its settings, for a bridge that reads `stream`.

    The keys are `sink`, `config`, or `config.NAME` for one setting.
    """
    if not isinstance(config, Mapping):
        return {"config": "must hold the sink's settings by name"}
    try:
        read = registry.config_of(sink, dict(config))
    except BadConfig as problem:
        return {field if field == "sink" else f"config.{field}": text for field, text in problem.errors.items()}
    return {
        f"config.{setting}": "is the stream that the bridge reads: its events would go in circles"
        for setting, name in read.streams().items()
        if name == stream
    }


def streams_of(sink: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the streams that a bridge writes to, by the setting that names each; none when it has other mistakes."""
    try:
        return dict(registry.config_of(sink, config).streams())
    except BadConfig:
        return {}
