"""The keys of services."""

from rest_framework.fields import CharField, DateTimeField, IntegerField, ListField

from streams.api.shapes.base import Shape


class Key(Shape):
    """What is known of a key; never the key."""

    id = CharField(help_text="The part of the key that names it.")
    service = CharField()
    label = CharField()  # type: ignore[assignment]  # of the field, not of the shape
    scopes = ListField(child=CharField())
    state = CharField(help_text="live, expired or revoked.")
    created_at = DateTimeField()
    expires_at = DateTimeField(allow_null=True)
    revoked_at = DateTimeField(allow_null=True)
    last_used_at = DateTimeField(allow_null=True, help_text="Written at most once a minute.")
    issued_by = CharField(allow_blank=True, help_text="The other service that issued it, empty when none did.")


class Keys(Shape):
    """The keys of a service."""

    keys = Key(many=True)


class IssuedKey(Key):
    """A new key. `key` is shown this once."""

    key = CharField()


class IssueAsked(Shape):
    """What a new key is to be."""

    label = CharField(required=False, help_text="What it is for.")  # type: ignore[assignment]  # as above
    scopes = ListField(
        child=CharField(), required=False, help_text="Words, and publish: or read: with a stream's name or pattern."
    )
    expires_in = IntegerField(required=False, help_text="Seconds; without it the key does not expire.")


class RotateAsked(Shape):
    """How a key is rotated."""

    overlap = IntegerField(required=False, help_text="For how many seconds the old key stays good: a day, unless said.")
