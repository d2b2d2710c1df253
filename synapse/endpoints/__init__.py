"""Endpoints of the API, declared once.

- `declaration`  the `endpoint` decorator, and the `Endpoint` that it makes of a function
- `models`       bases of Pydantic models of requests and answers, and the error sentences for invalid values
- `openapi`      the description of endpoints and models in the OpenAPI document
"""

from synapse.endpoints.declaration import Call, Endpoint, EventLoop, Example, by_path, endpoint, endpoints_of
from synapse.endpoints.models import Answer, Body, Query, QueryInt, Sentence, about, maybe
from synapse.endpoints.openapi import EVENT, JSON_SCHEMA, JsonSchema, Meaning, Violation, union_model
