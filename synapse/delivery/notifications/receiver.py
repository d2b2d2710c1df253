"""The supported receivers of notifications, and the checks of their URLs. No text here repeats a URL: it is a secret.

The URLs are those of apprise. Supported are its receivers of public services, and those that always use TLS; and only
some of their parameters, since others read files, fetch templates, or disable the check of certificates.
"""

import re
from collections.abc import Collection, Mapping

LONGEST = 2000
# The names of the receivers, with the parameters that their URLs may have.
RECEIVERS: Mapping[str, Collection[str]] = {
    "slack": ("footer", "image"),
    "workflows": ("id", "sig", "ver", "api-version", "pa", "powerautomate", "route", "routeid", "image", "wrap"),
    "pagerduty": ("region", "source", "component", "group", "class", "image"),
    "opsgenie": ("region", "priority", "entity", "tags", "to"),
    "discord": ("image", "footer", "thread"),
    "mails": ("from", "to", "cc", "bcc", "reply", "smtp", "user", "pass", "mode"),
}
# Receivers that open and close incidents, by key.
PAGERS = ("pagerduty", "opsgenie")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://[!-~]+")
_NAMES = ", ".join(f"{name}://" for name in RECEIVERS)


class BadReceiver(ValueError):
    """A URL is not that of a supported receiver; the message is the end of a sentence that begins with the secret."""


def kind_of_receiver(url: str) -> str:
    """Return the kind of the receiver that a URL names.

    Raises:
        BadReceiver: when it is not supported.
    """
    found = _URL.fullmatch(url)
    if found is None or len(url) > LONGEST:
        raise BadReceiver(f"must hold a URL of apprise, in printable ASCII, that begins with {_NAMES}")
    kind = found[1].lower()
    if kind == "msteams":
        raise BadReceiver("holds a URL with msteams://, which Microsoft no longer serves: use a workflow, workflows://")
    if kind in ("mailto", "mail"):
        raise BadReceiver("holds a URL for mail without TLS: use mails://")
    if kind not in RECEIVERS:
        raise BadReceiver(
            f"must hold a URL of apprise that begins with {_NAMES}; to send to another address, use a webhook bridge, "
            "which checks it"
        )
    return kind


def check_parameters(kind: str, names: Collection[str]) -> None:
    """Check the names of a URL's parameters.

    Raises:
        BadReceiver: when one of them is not permitted.
    """
    if set(names) - set(RECEIVERS[kind]):
        raise BadReceiver(f"holds a parameter that {kind}:// must not have here; it may have {_parameter_list(kind)}")


def _parameter_list(kind: str) -> str:
    return ", ".join(RECEIVERS[kind])
