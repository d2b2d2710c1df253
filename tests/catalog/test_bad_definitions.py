"""An unusable catalog file: all errors are reported at once, with line and place, and nothing is written."""

import pytest

from core.models import AuditEntry
from streams.models import Stream
from synapse.catalog.file import BadCatalog
from tests.catalog.files import apply, catalog, mistakes
from tests.tables import for_each

pytestmark = pytest.mark.django_db

NAME_RULE = "1 to 100 letters, digits, and . _ : -, not beginning with “syn:”"


@for_each(
    "text, said",
    [
        # Keys
        ("stream: []", "stream: there is no such key; did you mean “streams”?"),
        ("streams: [{name: s, purpos: x}]", "streams[0].purpos: there is no such key; did you mean “purpose”?"),
        (
            "streams: [{name: s, event_types: [{name: t, shema: {}}]}]",
            "streams[0].event_types[0].shema: there is no such key; did you mean “schema”?",
        ),
        (
            "services: [{name: s, publish: []}]",
            "services[0].publish: there is no such key; did you mean “publishes”?",
        ),
        (
            "services: [{name: s, publishes: [{stream: '*', type: x}]}]",
            "services[0].publishes[0].type: there is no such key; known here: event_type, stream",
        ),
        (
            "contracts: [{subject: s, schemas: {}}]",
            "contracts[0].schemas: there is no such key; did you mean “schema”?",
        ),
        # Names
        ("streams: [{purpose: x}]", "streams[0]: “name” is missing"),
        ("streams: [{name: }]", "streams[0]: “name” is missing"),
        ("streams: [{name: ''}]", f"streams[0].name: “” cannot be used: {NAME_RULE}"),
        ("streams: [{name: a b}]", f"streams[0].name: “a b” cannot be used: {NAME_RULE}"),
        ("streams: [{name: 'syn:x'}]", f"streams[0].name: “syn:x” cannot be used: {NAME_RULE}"),
        ("streams: [{name: 5}]", "streams[0].name: must be text, but is the number 5; put it in quotes"),
        ("streams: [{name: true}]", "streams[0].name: must be text, but is true; put it in quotes"),
        (
            "streams: [{name: s, event_types: [{name: a/b}]}]",
            f"streams[0].event_types[0].name: “a/b” cannot be used: {NAME_RULE}",
        ),
        ("services: [{name: a/b}]", f"services[0].name: “a/b” cannot be used: {NAME_RULE}"),
        (
            "services: [{name: s, subscribes: [{stream: a b}]}]",
            "services[0].subscribes[0].stream: “a b” cannot be used: 1 to 100 letters, digits, and . _ : - *",
        ),
        ("services: [{name: s, publishes: [{event_type: x}]}]", "services[0].publishes[0]: “stream” is missing"),
        (
            'contracts: [{subject: "a\\nb"}]',
            "contracts[0].subject: “a�b” cannot be used: a subject has 1 to 255 characters, none of them invisible",
        ),
        # Types
        ("streams: {}", "streams: must be a list, but is a mapping"),
        ("streams: [orders]", "streams[0]: must be a mapping, but is the text “orders”"),
        ("streams: [null]", "streams[0]: must be a mapping, but is nothing"),
        ("streams: [{name: s, purpose: [x]}]", "streams[0].purpose: must be text, but is a list"),
        ("streams: [{name: s, event_types: t}]", "streams[0].event_types: must be a list, but is the text “t”"),
        (
            "streams: [{name: s, event_types: [{name: t, schema: true}]}]",
            "streams[0].event_types[0].schema: must be a mapping, but is true",
        ),
        # Values
        ("streams: [{name: s, layout: flatt}]", "streams[0].layout: must be flat or dual, but is “flatt”"),
        (
            "streams: [{name: s, enforcement: false}]",
            "streams[0].enforcement: must be text, but is false; put it in quotes",
        ),
        ("streams: [{name: s, max_length: '5'}]", "streams[0].max_length: must be a whole number, but is the text “5”"),
        (
            "streams: [{name: s, max_length: 5.5}]",
            "streams[0].max_length: must be a whole number, but is the number 5.5",
        ),
        (
            "streams: [{name: s, max_length: 0}]",
            "streams[0].max_length: must be between 1 and 9223372036854775807, but is 0",
        ),
        (
            "streams: [{name: s, hard_length: 9223372036854775808}]",
            "streams[0].hard_length: must be between 1 and 9223372036854775807, but is 9223372036854775808",
        ),
        (
            "streams: [{name: s, max_length: 9, hard_length: 8}]",
            "streams[0].hard_length: The hard length cannot be smaller than the maximum length.",
        ),
        (
            "streams: [{name: s, max_age: 7 days}]",
            "streams[0].max_age: a duration is written as P7D (seven days) or PT1H30M (an hour and a half)",
        ),
        (
            "streams: [{name: s, idempotency_window: PT59S}]",
            "streams[0].idempotency_window: Idempotency keys are remembered for a minute to seven days.",
        ),
        (
            "streams: [{name: s, replicas: 101}]",
            "streams[0].replicas: must be between 1 and 100, but is 101",
        ),
        (
            "streams: [{name: s, durability: safe}]",
            "streams[0].durability: must be server or local or replicated, but is “safe”",
        ),
        ("streams: [{name: s, max_age: PT0S}]", "streams[0].max_age: Events must be kept for a second or longer."),
        (
            "streams: [{name: s, max_age: P999999999D}]",
            "streams[0].max_age: A hundred years (36,500 days) are the longest; leave it empty for no limit.",
        ),
        ("streams: [{name: s, max_age: P999999999W}]", "streams[0].max_age: the duration is too long"),
        # Duplicates
        ("streams: [{name: s}, {name: s}]", "streams[1]: the stream “s” is already at streams[0]"),
        (
            "streams: [{name: s, event_types: [{name: t}, {name: t}]}]",
            "streams[0].event_types[1]: the event type “s/t” is already at streams[0].event_types[0]",
        ),
        ("services: [{name: s}, {name: s}]", "services[1]: the service “s” is already at services[0]"),
        (
            "services: [{name: s, publishes: [{stream: '*'}, {stream: '*', event_type: '*'}]}]",
            "services[0].publishes[1]: the grant “s may publish */*” is already at services[0].publishes[0]",
        ),
        # Schemas
        (
            "streams: [{name: s, event_types: [{name: t, schema: {properties: {x: {minLength: a}}}}]}]",
            "streams[0].event_types[0].schema /properties/x/minLength: "
            'Not a valid JSON Schema: "a" is not of type "integer".',
        ),
        (
            "streams: [{name: s, event_types: [{name: t, schema: {$ref: '#'}}]}]",
            "streams[0].event_types[0].schema /$ref: “$ref” points at the schema itself, so it would check nothing.",
        ),
        # Examples
        (
            "streams: [{name: s, event_types: [{name: t, example: {event_type: u}}]}]",
            "streams[0].event_types[0].example: is an event of type “u”, not “t”.",
        ),
        (
            "streams: [{name: s, event_types: [{name: t, example: {x: 1}}]}]",
            "streams[0].event_types[0].example: The event has no “event_type”.",
        ),
        (
            "streams: [{name: s, event_types: [{name: t, example: [1]}]}]",
            "streams[0].event_types[0].example: An event is a JSON object.",
        ),
        (
            "streams: [{name: s, event_types: [{name: t, schema: {properties: {a: {type: object, required: [b]}}}, "
            "example: {event_type: t, a: {}}}]}]",
            "streams[0].event_types[0].example /a: breaks the schema: “a” must have the property “b”.",
        ),
        # References
        (
            "streams: [{name: orders}]\nservices: [{name: s, publishes: [{stream: order}]}]",
            "services[0].publishes[0].stream: there is no stream “order”; did you mean “orders”?",
        ),
    ],
)
def test_an_error_is_reported_with_its_place(text, said):
    assert [line.split(": ", 1)[1] for line in mistakes(text)] == [said]


def test_all_errors_are_reported_at_once_with_their_lines_and_nothing_is_written():
    text = """\
        streams:
          - name: orders
            layout: nested
            event_types:
              - name: order-placed
                schema:
                  type: object
                  properties:
                    number: {type: strin}
              - name: order-sent
                schema: {required: [parcel]}
                example: {event_type: order-sent}
          - name: orders
        services:
          - name: shop
            publishes:
              - {stream: order}
        sevices: []
    """

    with pytest.raises(BadCatalog) as refused:
        catalog(text).apply()

    assert refused.value.detail == "file.yaml has 6 errors"
    assert [line.split(": ")[:2] for line in refused.value.problems] == [
        ["line 3", "streams[0].layout"],
        ["line 9", "streams[0].event_types[0].schema /properties/number/type"],
        ["line 12", "streams[0].event_types[1].example"],
        ["line 13", "streams[1]"],
        ["line 17", "services[0].publishes[0].stream"],
        ["line 18", "sevices"],
    ]
    assert not Stream.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_grant_may_name_a_stream_of_the_database_or_a_pattern():
    apply("streams: [{name: orders}]")

    apply("services: [{name: shop, publishes: [{stream: orders}, {stream: 'not-yet-*'}]}]")

    with pytest.raises(BadCatalog, match="one error"):
        catalog("streams: []\nservices: [{name: market, publishes: [{stream: orders}]}]").plan(delete=True)
