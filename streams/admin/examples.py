"""Is an event type's example an event that its stream would take?"""

from collections.abc import Mapping
from typing import Any

import orjson

from contracts import registry
from contracts.models import Contract
from synapse.publishing import examples

# In a catalog file it must be said; here it is asked for.
_BREAKS = "breaks the schema: "


def mistakes(
    *, stream: str, name: str, example: Any, contract: Contract | None, schema: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """Return what is wrong with an example: JSON Pointers and sentences, none when there is no example.

    It is checked against `schema`, or against the contract's active version when none is given.
    """
    subject = None if contract is None else contract.subject
    if schema is None and contract is not None and (active := registry.active_version(contract)):
        schema = orjson.loads(active.text)
    values = {"stream": stream, "name": name, "example": example, "contract": subject}
    return [(pointer, text.removeprefix(_BREAKS)) for pointer, text in examples.complaints(values, schema)]


def sentence(pointer: str, mistake: str) -> str:
    """Return a mistake with its place."""
    return f"{pointer}: {mistake}" if pointer else mistake
