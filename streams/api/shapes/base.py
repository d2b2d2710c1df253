"""What all shapes are made of, and the problem document."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import CharField, IntegerField


class Shape(serializers.Serializer[Any]):
    """What a JSON object holds."""


class Violation(Shape):
    """One place of an event that breaks its contract."""

    pointer = CharField(help_text="JSON Pointer (RFC 6901) into the event.")
    keyword = CharField(help_text="The keyword of JSON Schema that is broken.")
    schema_pointer = CharField(help_text="JSON Pointer into the contract's schema.")
    message = CharField()


class Problem(Shape):
    """A problem document (RFC 9457). Further members depend on its type."""

    type = CharField(help_text="`urn:synapse:problem:…`, one for each kind of problem.")
    title = CharField()
    status = IntegerField()
    detail = CharField(help_text="One sentence for a person.")
    error = CharField(help_text="The detail again, for clients that look for this key.")
    parameter = CharField(required=False, help_text="The parameter that cannot be used.")
    violations = Violation(many=True, required=False)
