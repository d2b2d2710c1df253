"""A column for an event as JSON, whose numbers stay what they are."""

import json
from typing import Any

import orjson
from django.db import models

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
        """Describe it to migrations as the column that it is."""
        name, _, args, options = super().deconstruct()
        del options["encoder"], options["decoder"]
        return name, "django.db.models.JSONField", args, options
