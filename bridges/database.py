"""Database helpers for bridges: a JSON column that keeps numbers exact, and persistent connections."""

import json
from typing import Any

import orjson
from django.db import connections, models

from synapse.formats import exact_json


class _Encoder(json.JSONEncoder):
    def encode(self, o: Any) -> str:
        try:
            return exact_json.dumps(o).decode()
        except orjson.JSONEncodeError:  # nested more deeply than orjson writes
            return super().encode(o)


class _Decoder(json.JSONDecoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(parse_float=exact_json.number, parse_int=exact_json.integer, **options)


class EventField(models.JSONField):
    """A JSON column that keeps decimals digit for digit. In the database it is one like any other."""

    def __init__(self, **options: Any) -> None:
        super().__init__(encoder=_Encoder, decoder=_Decoder, **options)

    def deconstruct(self) -> Any:
        """Describe the column to migrations as a plain JSON column."""
        name, _, args, options = super().deconstruct()
        del options["encoder"], options["decoder"]
        return name, "django.db.models.JSONField", args, options


def close_stale_connections() -> None:
    """Close this thread's database connections that are broken or too old, except inside a transaction.

    Django does it around each request; threads without requests have to do it.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
