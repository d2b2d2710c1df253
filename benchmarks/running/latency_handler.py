"""A bridge's handler that writes down how long each event took to reach it.

An event says when it was due, by the one clock that all processes of a machine share, as its `correlation_id`; the
times go, a line each, to the file that the environment names.
"""

import os
import time
from typing import Any

HANDLER = f"{__name__}.on_event"
FILE = "BENCHMARK_TIMES"

_file = os.open(os.environ[FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if FILE in os.environ else None


def on_event(event: dict[str, Any], delivery: Any) -> None:
    """Note the nanoseconds from when the event was to be sent to this call."""
    now = time.monotonic_ns()
    if _file is not None:
        os.write(_file, b"%d\n" % (now - int(event["correlation_id"])))
