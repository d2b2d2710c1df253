"""What contracts would do with the events that are there, and what events suggest as a contract."""

from drf_spectacular.utils import extend_schema_field
from rest_framework.fields import BooleanField, CharField, IntegerField, JSONField, ListField

from streams.api.schemas import JSON_SCHEMA
from streams.api.shapes.base import Shape


@extend_schema_field(JSON_SCHEMA)
class SchemaDocument(JSONField):
    """A JSON Schema."""


class Moment(Shape):
    """An entry, and when it came."""

    id = CharField()
    time = CharField(allow_null=True, help_text="ISO 8601, UTC; null where the id tells no time.")


class ExampleEvent(Shape):
    """An event that would be refused."""

    id = CharField()
    pointer = CharField(help_text="JSON Pointer (RFC 6901) into this event.")
    message = CharField()
    path = CharField(help_text="Where it can be read.")


class BrokenRule(Shape):
    """A rule of the schema, and the events that break it at one place."""

    schema_pointer = CharField(help_text="JSON Pointer into the schema.")
    keyword = CharField()
    pointer = CharField(help_text="JSON Pointer into the events; `*` stands for any item, and for any free name.")
    message = CharField(help_text="The sentence about the first example.")
    events = IntegerField(help_text="How many events break it there.")
    first_seen = Moment()
    last_seen = Moment()
    examples = ExampleEvent(many=True, help_text="The newest of them.")


class LookedAt(Shape):
    """Which events were looked at."""

    stream = CharField()
    event_type = CharField()
    active_version = IntegerField(allow_null=True, help_text="The version that events are checked against now.")
    events = IntegerField(help_text="How many events of the type were looked at.")
    foreign = IntegerField(help_text="How many of them other programs wrote, past Synapse.")
    oldest = Moment(allow_null=True)
    newest = Moment(allow_null=True)
    scanned = IntegerField(help_text="How many entries of all types were looked at for that.")
    complete = BooleanField(help_text="False when a bound ended the search early.")
    stopped = CharField(allow_null=True, help_text="Which bound that was.")
    masked = BooleanField(help_text="True when what is personal was masked before it was looked at.")
    note = CharField(allow_null=True, help_text="What that means, in a sentence; null otherwise.")


class BackTested(LookedAt):
    """What a schema would say of the newest events."""

    refused = IntegerField(help_text="How many of them the schema would refuse.")
    newly_refused = IntegerField(help_text="How many of these are accepted now.")
    refused_by_active = IntegerField(
        allow_null=True, help_text="How many the active version refuses; null when there is none."
    )
    explained = IntegerField(help_text="How many of the refused are counted in `violations`.")
    violations = BrokenRule(many=True, help_text="What they break, the commonest first.")
    more_violations = BooleanField(help_text="True when there are further ones.")


class Drafted(LookedAt):
    """A schema that the newest events suggest."""

    subject = CharField(help_text="The subject of the contract that it would be a draft of.")
    schema = SchemaDocument()
    difference = ListField(child=CharField(), help_text="A unified diff from the active version, line by line.")
