"""The settings of a rule of alerts, beside its name, in the order of files and forms."""

from synapse.catalog import ownership
from synapse.catalog.fields import Choice, Count, Flag, Rows, Text, declared

_USUAL = "empty: as from the start, or as is usual for the condition"
CONDITION = Text("condition", help="The thing that is measured. A rule that is there from the start has one already.")
THRESHOLD = Count(
    "threshold", least=0, most=2_000_000_000, help=f"From which value on it holds, in the condition's unit; {_USUAL}."
)
FOR_SECONDS = Count(
    "for_seconds", least=0, most=86_400, help=f"For how many seconds it has to hold before the alert fires; {_USUAL}."
)
SEVERITY = Choice(
    "severity",
    default="",
    choices={"": "as from the start, or warning", "warning": "warning", "critical": "critical"},
    help="How bad it is.",
)
SUBJECTS = Rows(
    "subjects",
    help="Patterns (* for any characters) of names of streams, bridges, groups (stream/group) or services. Empty: all.",
)
ENABLED = Flag("enabled", default=True, help="Whether the rule is evaluated.")
DESCRIPTION = Text("description", help="The fault that it finds, for people.")
RUNBOOK, LABELS = ownership.RUNBOOK, ownership.LABELS

ALERT_FIELDS = declared(globals())
