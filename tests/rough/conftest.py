"""One server for the tests that leave it as it was."""

from collections.abc import Callable, Iterator

import pytest

from tests.chaos.profile import FULL
from tests.connection import Connection
from tests.rough.server import Synapse, running_synapse


@pytest.fixture(scope="package")
def synapse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synapse]:
    # Of one process, which takes a third of the time to start; two answer in the full run.
    with running_synapse(tmp_path_factory.mktemp("rough"), "--workers", "2" if FULL else "1") as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[[Synapse], Connection]]:
    """Connect to a server: closed when the test ends."""
    clients: list[Connection] = []

    def connect(synapse: Synapse) -> Connection:
        clients.append(Connection(synapse.port))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def connection(synapse: Synapse, connect: Callable[[Synapse], Connection]) -> Connection:
    return connect(synapse)
