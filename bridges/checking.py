"""What is wrong with a bridge's definition beyond its own columns: for every edge through which one enters."""

from collections.abc import Mapping

from bridges.errors import BadConfig
from bridges.sinks import registry


def sink_errors(sink: str, config: object) -> dict[str, str]:
    """Return what is wrong with the choice of a sink and its settings.

    The keys are `sink`, `config`, or `config.NAME` for one setting.
    """
    if not isinstance(config, Mapping):
        return {"config": "must hold the sink's settings by name"}
    try:
        registry.config_of(sink, dict(config))
    except BadConfig as problem:
        return {field if field == "sink" else f"config.{field}": text for field, text in problem.errors.items()}
    return {}
