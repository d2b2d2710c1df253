"""Addresses of the pages of the admin where an alert is mended."""

from django.conf import settings
from django.urls import reverse

from alerts.snapshot import holder
from bridges.snapshot import holder as bridges
from synapse.alerts import rules
from synapse.alerts.subject import Subject
from synapse.formats.text import is_name


def link(condition: str, subject: Subject) -> str:
    """Return the address of the page where an alert is mended: with `SYNAPSE_PUBLIC_URL` in front, where that is set.

    Args:
        condition: the name of the alert's condition.
        subject: what it is about.
    """
    return f"{settings.PUBLIC_URL}{_path(condition, subject)}"


def _path(condition: str, subject: Subject) -> str:
    pk = holder.stream_id(subject.stream)
    match subject.kind:
        case "key":
            return reverse("admin:streams_service_changelist")
        case "group" if pk is not None:
            bridge = bridges.at(subject.stream, subject.name)
            # The group of another program may have a name that no address holds.
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
