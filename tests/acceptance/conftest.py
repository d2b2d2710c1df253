"""One hub for the acceptance tests, and one of their own for those that kill it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.hub import Hub, running_hub
from tests.fork_server import started_by_themselves


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The hub that most tests share, all of whose programs start by themselves."""
    with ExitStack() as stack:
        with started_by_themselves():
            running = stack.enter_context(running_hub(tmp_path_factory.mktemp("hub")))
        yield running


@pytest.fixture(scope="module")
def own_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that the tests of a file may kill."""
    with running_hub(tmp_path_factory.mktemp("own-hub")) as running:
        yield running
