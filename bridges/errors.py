"""Former name of `synapse.errors.delivery`, which handlers of earlier versions import."""

import warnings
from typing import Any

from synapse.errors import delivery


def __getattr__(name: str) -> Any:
    found = getattr(delivery, name)
    warnings.warn(
        f"bridges.errors.{name} is now synapse.errors.delivery.{name}: import it from there.",
        FutureWarning,
        stacklevel=2,
    )
    return found
