"""A web server as it is run, two workers on one socket, with a Valkey that writes its log."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.migrated import put_database
from tests.scaling.machines import Machines, workers_of
from tests.valkey import Valkey, running_valkey


@dataclass
class Synapse:
    """The running server: its address, its process, the environment it shares with commands, and its events."""

    url: str
    pid: int
    machines: Machines
    valkey: Valkey

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def processes(self) -> list[int]:
        """Return the processes that answer."""
        return workers_of(self.pid) or [self.pid]

    def connections(self, pid: int) -> int:
        """Return how many clients one of the processes is connected with."""
        here, established = f"0100007F:{self.port:04X}", "01"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = {f"socket:[{row[9]}]" for row in rows if (row[1], row[3]) == (here, established)}
        return sum(_target(file) in ours for file in Path(f"/proc/{pid}/fd").iterdir())

    def memory(self) -> int:
        """Return what the process that has most holds in memory, in bytes."""
        return max(_resident(pid) for pid in self.processes())

    def stored(self) -> dict[str, int]:
        """Return the number of each event of the stream, by its id."""
        found: dict[str, int] = {}
        after = "-"
        with self.valkey.client() as client:
            while part := client.xrange("orders", min=after, count=10_000):
                found |= {id_.decode(): int(fields[b"n"]) for id_, fields in part}
                after = f"({part[-1][0].decode()}"
        return found


def _target(link: Path) -> str:
    """Return where a link leads, "" when it is gone by now."""
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


def _resident(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


@contextmanager
def running_synapse(folder: Path, *options: str, **others: object) -> Iterator[Synapse]:
    """Run one for as long as the block lasts. `others` are for its machine."""
    with running_valkey("--appendonly", "yes") as valkey:
        put_database(folder / "synapse.sqlite3")
        database = f"sqlite:///{folder / 'synapse.sqlite3'}"
        everyone = {"SYNAPSE_AUTH": "open", "STREAM_MAX_LENGTH": "10000000"}
        machines = Machines(folder, database=database, redis=valkey.url, **everyone, **others)
        with machines.serving(options or ("--workers", "2")) as (url,):
            yield Synapse(url, machines.running[url], machines, valkey)
