"""Endpoints of the API, declared once.

- `declaration`  the `endpoint` decorator, and what it makes of a function
- `models`       bases of Pydantic models of requests and answers, and the sentences for what does not fit
- `openapi`      how the OpenAPI document describes endpoints and models
"""

from synapse.endpoints.declaration import Call, Endpoint, EventLoop, Example, by_path, endpoint, endpoints_of
from synapse.endpoints.models import Answer, Body, Query, QueryInt, Sentence, about, maybe
from synapse.endpoints.openapi import EVENT, JSON_SCHEMA, JsonSchema, Meaning, Violation, either
