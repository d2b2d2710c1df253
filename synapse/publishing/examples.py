"""An event type's example is an event: it goes through the same checks as one that is published."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from synapse.catalog.plan import Values
from synapse.catalog.stream_definitions import ActiveContract, EventTypeDefinition, StreamDefinition
from synapse.errors.streams import ContractViolated
from synapse.formats import strict_json
from synapse.problems import Problem
from synapse.publishing import body, deferred_validation
from synapse.schema import validator


def complaints(event_type: Values, schema: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Give what publishing the example of an event type would be refused for: JSON Pointers and sentences."""
    example = event_type["example"]
    if example is None:
        return
    data = orjson.dumps(example)
    if len(data) > body.MAX_EVENT_BYTES:
        yield "", f"The example is {len(data)} bytes long; an event has at most {body.MAX_EVENT_BYTES}."
        return
    try:
        strict_json.check_size(strict_json.loads(data), len(data))
        found = deferred_validation.check_in_thread(_stream(event_type, schema), example)
    except ContractViolated as error:
        for violation in error.members["violations"]:
            yield violation["pointer"], f"breaks the schema: {violation['message']}"
    except (Problem, strict_json.BadJSON) as error:
        yield "", str(error)
    else:
        if found.event_type != event_type["name"]:
            yield "", f"is an event of type “{found.event_type}”, not “{event_type['name']}”."


def _stream(event_type: Values, schema: Mapping[str, Any] | None) -> StreamDefinition:
    """Return a stream that knows the event type alone, and enforces its contract."""
    name = event_type["name"]
    contract = None
    if schema is not None:
        contract = ActiveContract(
            subject=event_type["contract"], version=1, schema=validator.compile_schema(dict(schema))
        )
    definition = EventTypeDefinition(name=name, contract=contract)
    return StreamDefinition(name=event_type["stream"], event_types={name: definition})
