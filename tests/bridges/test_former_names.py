"""Names that handlers of earlier versions import still work."""

import importlib

import pytest

from synapse.errors import delivery


@pytest.mark.parametrize("name", ["SinkError", "SinkDisabled"])
def test_an_import_from_the_former_module_warns_with_the_new_one(name):
    former = importlib.import_module("bridges.errors")

    with pytest.warns(FutureWarning, match=f"is now synapse.errors.delivery.{name}"):
        found = getattr(former, name)

    assert found is getattr(delivery, name)


def test_an_unknown_name_of_the_former_module_is_an_import_error():
    with pytest.raises(ImportError, match="SinkFailure"):
        from bridges.errors import SinkFailure  # noqa: F401
