"""What the audit record's answers hold."""

from drf_spectacular.utils import extend_schema_field
from rest_framework.fields import CharField, DateTimeField, IntegerField, JSONField

from streams.api.shapes.base import Shape


@extend_schema_field({"description": "What was there, as a JSON value; null when nothing was."})
class Described(JSONField):
    """A thing before or after."""


class AuditEntry(Shape):
    """Who did what to which thing."""

    id = IntegerField()
    at = DateTimeField()
    actor = CharField(help_text="`person:…`, `service:…`, `anonymous`, or `synapse` itself.")
    kind = CharField(help_text="person, service, anonymous, system; empty in entries of old.")
    key = CharField(allow_null=True, help_text="The id of the API key that was shown.")
    address = CharField(allow_null=True, help_text="The IP address from which it was done.")
    action = CharField()
    target = CharField()
    before = Described()
    after = Described()


class AuditPage(Shape):
    """A page of the record, newest first."""

    entries = AuditEntry(many=True)
    next = IntegerField(allow_null=True, help_text="The value of `before` for the next page.")
