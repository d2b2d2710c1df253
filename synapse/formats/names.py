"""What the names of streams, groups and event types may be. Checked wherever a name enters."""

import re

NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")
RESERVED_PREFIX = "syn:"
RULE = "1 to 100 letters, digits, and . _ : -, not beginning with “syn:”"


def is_name(text: str) -> bool:
    """Say whether `text` can name a stream, a group or an event type."""
    return NAME.fullmatch(text) is not None and not text.startswith(RESERVED_PREFIX)
