"""URLs of the admin's pages on which the cause of an alert can be fixed."""

from django.conf import settings
from django.urls import reverse

from alerts.snapshot import holder
from bridges.snapshot import holder as bridges
from synapse.alerts import rules
from synapse.alerts.subject import Subject
from synapse.formats.text import is_name


def link_to(condition: str, subject: Subject) -> str:
    """Return the URL of the page on which the cause of an alert can be fixed. It begins with `SYNAPSE_PUBLIC_URL` if
    that is set.

    Args:
        condition: the name of the alert's condition.
        subject: the stream, group or key of the alert.
    """
    return f"{settings.PUBLIC_URL}{_path_of(condition, subject)}"


def _path_of(condition: str, subject: Subject) -> str:
    pk = holder.stream_id(subject.stream)
    match subject.kind:
        case "key":
            return reverse("admin:streams_service_changelist")
        case "group" if pk is not None:
            bridge = bridges.bridge_at(subject.stream, subject.name)
            # A group that another program created may have a name that our URLs do not match.
            if condition in _DEAD and is_name(subject.name):
                return reverse("admin:bridges_bridge_dead_letters_group", args=[pk, subject.name])
            if bridge is not None and not bridge.is_pulled:
                return reverse("admin:bridges_bridge_change", args=[bridge.pk])
            if is_name(subject.name):
                return reverse("admin:bridges_bridge_group", args=[pk, subject.name])
            return reverse("admin:streams_stream_groups", args=[pk])
        case "stream" if pk is not None:
            page = "refusals" if condition == rules.REFUSED.name else "statistics"
            return reverse(f"admin:streams_stream_{page}", args=[pk])
    return reverse("admin:index")


_DEAD = (rules.DEAD.name, rules.DEAD_RATE.name)
