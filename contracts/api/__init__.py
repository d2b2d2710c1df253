"""The contracts through the HTTP API of schema registries, for existing clients and tools: docs/registry.md.

- `urls`            every route, their view, and refusals as registries write them
- `subjects`        `schemas` `configuration`   the endpoints, and the JSON of versions
- `openapi`         how they are declared, and models of what they take and answer
- `request_parser`  reading a request, and the schema in one
- `errors`          which error code stands for what
"""
