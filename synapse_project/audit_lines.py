"""Where the record goes as lines of JSON: the setting SYNAPSE_AUDIT_LOG, and what `logging` makes of it."""

from pathlib import Path
from typing import Any

STDERR = "stderr"


def target(text: str) -> str:
    """Return where the lines go: "stderr", a file, or "" for nowhere.

    Raises:
        ValueError: when it is no file that can be written.
    """
    if text in ("", STDERR):
        return text
    path = Path(text)
    try:
        # It tells of people: nobody else is to read it.
        path.touch(mode=0o600)
    except OSError as error:
        raise ValueError(f"a file that can be written, or stderr; {error.strerror}") from None
    return str(path.resolve())


def logging(target: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the handlers that `logging` needs by name, and the logger of the record.

    Each line is written at once and appended, so that several processes can share the file; one that is moved away
    (logrotate) is made anew.
    """
    if not target:
        return {}, {"handlers": [], "level": "CRITICAL", "propagate": False}
    if target == STDERR:
        handler: dict[str, Any] = {"class": "logging.StreamHandler", "formatter": "bare"}
    else:
        kind = "logging.handlers.WatchedFileHandler"
        handler = {"class": kind, "formatter": "bare", "filename": target, "encoding": "utf-8"}
    return {"audit": handler}, {"handlers": ["audit"], "level": "INFO", "propagate": False}
