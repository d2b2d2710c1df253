"""Publishing and validating."""

from rest_framework.fields import BooleanField, CharField, IntegerField

from streams.api.shapes.base import Shape, Violation


class Published(Shape):
    """An event that is stored."""

    id = CharField()
    entry_id = CharField(help_text="The id again, as other clients name it.")
    message_id = CharField(help_text="The id again, as other clients name it.")
    stream = CharField()
    event_type = CharField()
    contract_version = IntegerField(allow_null=True, help_text="Null when the event was checked against no contract.")
    warnings = Violation(many=True, required=False, help_text="On a stream that only warns.")


class ItemError(Shape):
    """What is wrong with one event of a batch."""

    type = CharField()
    message = CharField()
    pointer = CharField(required=False)
    keyword = CharField(required=False)
    schema_pointer = CharField(required=False)
    id = CharField(required=False, help_text="Of an event that may be stored all the same.")


class ItemResult(Shape):
    """What became of one event of a batch."""

    index = IntegerField()
    id = CharField(allow_null=True)
    status = CharField(help_text="accepted, rejected, or aborted: good itself, but not stored.")
    # REST framework takes the fields off the class, so its own attributes of these names stay.
    errors = ItemError(many=True)  # type: ignore[assignment]
    replayed = BooleanField(required=False, help_text="True when it was stored before, under the same key.")
    warnings = Violation(many=True, required=False)


class Batch(Shape):
    """What became of a batch."""

    stream = CharField()
    accepted = IntegerField()
    rejected = IntegerField()
    aborted = IntegerField()
    results = ItemResult(many=True)


class Validated(Shape):
    """An event that would be stored."""

    valid = BooleanField()
    stream = CharField()
    event_type = CharField()
    contract_version = IntegerField(allow_null=True)
    warnings = Violation(many=True, required=False)
