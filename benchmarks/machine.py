"""Facts about the machine and the programs, for readers of the results; no names of hosts, and no paths."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

from benchmarks.stage import Stage

PACKAGES = (
    "django",
    "uvicorn",
    "uvloop",
    "httptools",
    "redis",
    "hiredis",
    "orjson",
    "jsonschema_rs",
    "fastapi",
    "pydantic",
    "faststream",
)
_SYNCS = 50


def facts(stage: Stage) -> dict[str, str]:
    """Return the facts by name, in the order in which they are shown."""
    load = os.getloadavg()[0]
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load before the run": f"{load:.1f}",
        "a synced write": f"{_sync_seconds() * 1e6:.0f} microseconds (median)",
        "Valkey": f"{stage.valkey.client.info('server')['valkey_version']}, appendfsync always",
        "load generator": stage.load.name,
        "packages": ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _sync_seconds() -> float:
    times = []
    with TemporaryFile(prefix="synapse-bench-") as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 300)
            begun = time.perf_counter()
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    return median(times)
