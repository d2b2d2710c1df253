"""The contracts through the HTTP API of schema registries, for existing clients and tools: docs/registry.md.

- `urls`            every route
- `subjects`        `schemas` `configuration`   the endpoints
- `openapi`         how they are declared, and models of what they take and answer
- `base`            their view, refusals as registries write them, and the JSON of versions
- `request_parser`  reading a request, and the schema in one
- `errors`          which error code stands for what
"""
