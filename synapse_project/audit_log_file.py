"""Where the record goes as lines of JSON: the setting SYNAPSE_AUDIT_LOG, and what `logging` makes of it."""

from pathlib import Path
from typing import Any

STDERR = "stderr"


def logging(target: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the handlers that `logging` needs by name, and the logger of the record.

    `target` is a file, "stderr", or "" for nowhere. Each line is written at once and appended, so that several
    processes can share the file; one that is moved away (logrotate) is made anew.

    Raises:
        OSError: when the file cannot be written.
    """
    if not target:
        return {}, {"handlers": [], "level": "CRITICAL", "propagate": False}
    if target == STDERR:
        handler: dict[str, Any] = {"class": "logging.StreamHandler", "formatter": "bare"}
    else:
        # It tells of people: nobody else is to read it.
        Path(target).touch(mode=0o600)
        kind = "logging.handlers.WatchedFileHandler"
        handler = {"class": kind, "formatter": "bare", "filename": str(Path(target).resolve()), "encoding": "utf-8"}
    return {"audit": handler}, {"handlers": ["audit"], "level": "INFO", "propagate": False}
