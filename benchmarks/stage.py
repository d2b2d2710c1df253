"""The programs that a run needs, each started on first use and ended with the run."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.events import EVENT, JSON, STREAM, compact
from benchmarks.load import Generator, generator
from benchmarks.running import fastapi, receiver, synapse, valkey, webdis
from benchmarks.running.many import Crowd
from benchmarks.running.program import DidNotStart, Program
from benchmarks.running.valkey import Valkey
from benchmarks.values import Plan


class Stage:
    """One Valkey for all contenders, the contenders, and the load generator."""

    def __init__(self, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self.plan = plan
        self._folder = folder
        self._synapse_folder = folder / "synapse"
        self._stack = stack
        self._crowds: dict[int, Crowd] = {}

    @cached_property
    def load(self) -> Generator:
        return generator(self._folder)

    @cached_property
    def valkey(self) -> Valkey:
        return self._stack.enter_context(valkey.serving(self._folder / "valkey"))

    @cached_property
    def synapse(self) -> Program:
        return self._stack.enter_context(self.another_synapse())

    @cached_property
    def closed_synapse(self) -> Program:
        """Start another Synapse, which requires keys."""
        return self._stack.enter_context(self.another_closed_synapse())

    def key_of(self, service: str) -> str:
        """Return a new key of a service of the catalog."""
        return synapse.issued_key(self._synapse_folder, self.settings, service)

    def manage(self, *words: str, **variables: str) -> str:
        """Run a command of `manage.py` with Synapse's settings and more variables; return its output."""
        return synapse.manage(self._synapse_folder, {**self.settings, **variables}, *words)

    @cached_property
    def django_only(self) -> Program:
        return self._stack.enter_context(synapse.serving_django_only(self._synapse_folder, self.settings))

    @cached_property
    def fastapi(self) -> Program:
        return self._stack.enter_context(self.another_fastapi())

    @cached_property
    def webdis(self) -> Program:
        return self._stack.enter_context(webdis.serving(self._folder, self.valkey.endpoint))

    @cached_property
    def receiver(self) -> Program:
        return self._stack.enter_context(receiver.receiving(self._folder))

    @cached_property
    def stored_fields(self) -> list[bytes]:
        """The fields that Synapse, and so each peer, stores for the guide's event."""
        status, answer = self.synapse.ask("POST", f"/events/{STREAM}", compact(EVENT), JSON)
        if status != 201:
            raise DidNotStart(f"Synapse answered a publish with {status}: {answer[:500].decode(errors='replace')}")
        return self.valkey.last_fields(STREAM)

    def another_synapse(self, port: int = 0, **variables: str) -> AbstractContextManager[Program]:
        """Return a context manager that runs another server, with more variables."""
        return synapse.serving(self._synapse_folder, {**self.settings, **variables}, port=port)

    def another_closed_synapse(self) -> AbstractContextManager[Program]:
        """Return a context manager that runs another server, which requires keys."""
        return synapse.serving(self._synapse_folder, {**self.settings, "SYNAPSE_AUTH": "required"})

    def crowd(self, count: int) -> Crowd:
        """Return a catalog with a number of further streams, each with a contract, in its own database and Redis."""
        if count not in self._crowds:
            place = len(self._crowds) + 1
            self._crowds[count] = Crowd.made(self._folder / f"many-{count}", self.settings, self.valkey, count, place)
        return self._crowds[count]

    def another_fastapi(self) -> AbstractContextManager[Program]:
        """Return a context manager that runs another FastAPI peer."""
        return fastapi.serving(self._folder, self.valkey.endpoint.url)

    @cached_property
    def settings(self) -> dict[str, str]:
        """Synapse's settings, with the database created and the catalog defined."""
        self._synapse_folder.mkdir()
        settings = synapse.environment(self._synapse_folder, self.valkey.endpoint.url)
        synapse.prepare(self._synapse_folder, settings)
        return settings


@contextmanager
def staged(plan: Plan) -> Iterator[Stage]:
    """Provide a stage in a temporary folder during the block."""
    with TemporaryDirectory(prefix="synapse-bench-") as folder, ExitStack() as stack:
        yield Stage(plan, Path(folder), stack)
