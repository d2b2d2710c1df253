"""The rule for names of streams, groups, consumers and event types. The server has the same rule."""

import re

from deepiri_modelkit.errors import InvalidName

NAME_PATTERN = "^[A-Za-z0-9._:-]{1,100}$"
RESERVED_PREFIX = "syn:"
RULE = "1 to 100 letters, digits, and . _ : -, not beginning with “syn:”"

_NAME = re.compile(NAME_PATTERN.strip("^$"))


def is_name(text: str) -> bool:
    """Say whether `text` can name a stream, a group, a consumer or an event type."""
    return _NAME.fullmatch(text) is not None and not text.startswith(RESERVED_PREFIX)


def check_name(what: str, name: str) -> str:
    """Check a name and return it as a plain `str` (an enum member becomes its value).

    Raises:
        InvalidName: when it is not valid. `what` is the kind of name for the message.
    """
    if not isinstance(name, str) or not is_name(name):
        raise InvalidName(f"The {what} cannot be named {str(name)[:120]!r}: {RULE}.")
    return str.__str__(name)
