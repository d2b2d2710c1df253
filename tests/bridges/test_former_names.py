"""Names that handlers of earlier versions import still work."""

import importlib

import pytest

from synapse.errors import delivery


@pytest.mark.parametrize("name", ["SinkError", "SinkDisabled"])
def test_a_handler_that_imports_from_the_former_module_is_told_the_new_one(name):
    former = importlib.import_module("bridges.errors")

    with pytest.warns(FutureWarning, match=f"is now synapse.errors.delivery.{name}"):
        found = getattr(former, name)

    assert found is getattr(delivery, name)


def test_a_name_that_there_never_was_is_no_alias():
    with pytest.raises(ImportError, match="SinkFailure"):
        from bridges.errors import SinkFailure  # noqa: F401
