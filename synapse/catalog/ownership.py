"""Settings that streams, event types and bridges share: the owner, the link to a runbook, and labels.

Alerts and catalog files contain them, so they must not be secret.
"""

from synapse.catalog.fields import Field, Labels, Line, Link

OWNERSHIP = "Ownership"

OWNER = Line(
    "owner", section=OWNERSHIP, most=200, help="The team or person that looks after it, in one line. Alerts name it."
)
RUNBOOK = Link(
    "runbook",
    section=OWNERSHIP,
    most=2000,
    help="The address of a page that says what to do when it fails, with http or https. Alerts link to it.",
)
LABELS = Labels(
    "labels",
    section=OWNERSHIP,
    most=20,
    longest_name=63,
    longest_text=200,
    help="Texts by names, such as team: payments. Alerts carry them.",
)

OWNERSHIP_FIELDS: tuple[Field, ...] = (OWNER, RUNBOOK, LABELS)
