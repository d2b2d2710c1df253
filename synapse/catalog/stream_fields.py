"""The settings of a stream, in the order in which files, forms and answers have them."""

from datetime import timedelta

from synapse.catalog import ownership
from synapse.catalog.fields import ADVANCED, Choice, Count, Duration, Rows, Text, declared

_EVENTS, _KEEPING = "Events", "How long they are kept"

PURPOSE = Text(name="purpose", help="The purpose of the stream.")
OWNER, RUNBOOK, LABELS = ownership.OWNER, ownership.RUNBOOK, ownership.LABELS
LAYOUT = Choice(
    name="layout",
    section=ADVANCED,
    default="flat",
    choices={"flat": "flat: one field a property", "dual": "dual: flat, and one typed copy in payload"},
    help="The format of an event in Redis.",
)
ENFORCEMENT = Choice(
    name="enforcement",
    section=_EVENTS,
    default="enforce",
    choices={
        "enforce": "enforce: refuse what breaks its contract",
        "warn": "warn: accept it and count it",
        "off": "off: check nothing",
    },
    help="The treatment of an event that breaks its contract.",
)
UNKNOWN_EVENT_TYPES = Choice(
    name="unknown_event_types",
    section=ADVANCED,
    default="accept",
    choices={"accept": "accept events of types that are not defined here", "reject": "reject them"},
)
MAX_LENGTH = Count(
    name="max_length",
    section=_KEEPING,
    help="How many events are kept; empty for the server's default. Events that a group has not acknowledged stay.",
)
MAX_AGE = Duration(
    name="max_age",
    section=_KEEPING,
    least=timedelta(seconds=1),
    most=timedelta(days=36_500),
    refusals=(
        "Events must be kept for a second or longer.",
        "A hundred years (36,500 days) are the longest; leave it empty for no limit.",
    ),
    help="How long events are kept, as “7 00:00:00” for seven days; empty for no limit.",
)
HARD_LENGTH = Count(
    name="hard_length",
    section=ADVANCED,
    default=1_000_000,
    help="The length at which “when full” decides, regardless of unacknowledged events.",
)
WHEN_FULL = Choice(
    name="when_full",
    section=ADVANCED,
    default="drop_oldest",
    choices={"drop_oldest": "drop the oldest events, even unread ones", "reject": "refuse new events"},
)
IDEMPOTENCY_WINDOW = Duration(
    name="idempotency_window",
    section=ADVANCED,
    default=timedelta(days=1),
    least=timedelta(minutes=1),
    most=timedelta(days=7),
    refusals=("Idempotency keys are remembered for a minute to seven days.",) * 2,
    help="How long an Idempotency-Key is remembered, a minute to seven days; about 0.25 KB of Redis each.",
)
IDEMPOTENCY_KEY = Choice(
    name="idempotency_key",
    section=ADVANCED,
    default="optional",
    choices={
        "optional": "optional: events may come without one",
        "required": "required: events without one are refused",
    },
    help="Whether publishers must send an Idempotency-Key.",
)
DURABILITY = Choice(
    name="durability",
    section=ADVANCED,
    default="server",
    choices={
        "server": "server: as Redis is set up",
        "local": "local: when it is on Redis' disk",
        "replicated": "replicated: when replicas have it",
    },
    help="When a publisher is told that its event is stored.",
)
REPLICAS = Count(
    name="replicas",
    section=ADVANCED,
    default=1,
    most=100,
    help="How many replicas must have it, where durability is “replicated”.",
)

SUMMARIES = Rows(
    name="summaries",
    section=ADVANCED,
    help="The summaries of its archived events in the admin: how often work completed and failed, and a measure of it.",
)

STREAM_FIELDS = declared(globals())
