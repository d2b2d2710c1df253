"""Write the operations and models that endpoints declare into the document of drf-spectacular."""

from typing import Any

from drf_spectacular.openapi import AutoSchema

from core.openapi import SECURITY
from synapse.endpoints import Endpoint, openapi


class EndpointSchema(AutoSchema):
    """Describes the methods of a view by its endpoint declarations, if it has any."""

    def get_operation(self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any) -> Any:
        """Return the operation of a method."""
        endpoint: Endpoint | None = getattr(self.view, "endpoints", {}).get(method)
        if endpoint is None:
            return super().get_operation(path, path_regex, path_prefix, method, registry)
        security = {} if endpoint.requires.open_to_all else {"security": SECURITY}
        return {**openapi.describe_operation(endpoint), **security}


def with_models_of_endpoints(result: dict[str, Any], generator: Any, **_: Any) -> dict[str, Any]:
    """Return the document with the models of requests and responses of endpoints (a postprocessing hook of
    drf-spectacular).
    """
    views = (getattr(callback, "cls", None) for _, _, _, callback in generator.endpoints)
    declared = [each for view in views for each in getattr(view, "endpoints", {}).values()]
    result["components"].setdefault("schemas", {}).update(openapi.component_schemas(declared))
    return result
