"""One hub for the acceptance tests, and one of their own for those that kill it."""

from collections.abc import Iterator

import pytest

from tests.acceptance.hub import Hub, running_hub


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The hub that most tests share."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def own_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that the tests of a file may kill."""
    with running_hub(tmp_path_factory.mktemp("own-hub")) as running:
        yield running
