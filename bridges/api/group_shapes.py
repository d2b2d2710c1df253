"""What requests about groups hold, and their answers."""

from typing import Any

from rest_framework.fields import BooleanField, CharField, IntegerField

from streams.api.shapes.base import Shape

_WHERE = "beginning, end, the id of an event, or a time; an event of that id or time is included."


class CreateAsked(Shape):
    """The name, and where it begins."""

    name = CharField()
    at = CharField(required=False, help_text=f"{_WHERE} Without it: beginning.")


class CreatedGroup(Shape):
    """A group that was made."""

    stream = CharField()
    group = CharField()
    last_delivered_id = CharField(help_text="The id after which it begins.")


class DeleteAsked(Shape):
    """Nothing, or why it is deleted in spite of what it is owed."""

    force = BooleanField(required=False)
    reason = CharField(required=False, help_text="Recorded. Needed with `force`.")


class DeletedGroup(Shape):
    """What a deleted group was still owed."""

    stream = CharField()
    group = CharField()
    deleted = BooleanField()
    unread = IntegerField(help_text="Counted to 10,000.")
    pending = IntegerField()
    waiting = IntegerField()
    parked = IntegerField()
    dead = IntegerField()


class PausedGroup(Shape):
    """Whether a group rests now."""

    stream = CharField()
    group = CharField()
    bridge = CharField(help_text="The bridge that reads as the group, or is pulled as it.")
    paused = BooleanField()


class MoveAsked(Shape):
    """Where to, and how."""

    to = CharField(help_text=_WHERE)
    discard_waiting = BooleanField(
        required=False, help_text="Forget what it has had before the new place and not settled; else that stays."
    )
    dry_run = BooleanField(required=False, help_text="Only say what it would do.")


class _FromTo(Shape):
    stream = CharField()
    group = CharField()
    to = CharField(help_text="The id after which it goes on then.")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": CharField(help_text="The id after which it went on before.")}


class MovedGroup(_FromTo):
    """What moving it did."""

    skipped = IntegerField(help_text="Events that the group will not get.")
    unread_again = IntegerField(help_text="Events that it had had, not settled, and that are unread again.")
    more = BooleanField(help_text="True: it is on its way; the same request goes on.")


class MovePlan(_FromTo):
    """What moving it would do."""

    dry_run = BooleanField()
    skips = IntegerField(help_text="Unread events that would not be delivered.")
    repeats = IntegerField(help_text="Events behind its place that would be delivered again.")
    exact = BooleanField(help_text="False when there are more: the counting stops at 10,000.")
    pending = IntegerField(help_text="In a consumer's hand now.")
    waiting = IntegerField(help_text="To be delivered again, now.")
    parked = IntegerField(help_text="Waiting behind another of their key, now.")
    dead = IntegerField(help_text="Dead letters: they stay.")
    hindrance = CharField(allow_null=True, help_text="Why it cannot be moved now; null when it can.")
