"""Serves contracts with the API of schema registries, so that existing clients and tools work: docs/registry.md.

- `urls`            all routes, their view, and refusals in the registries' format
- `subjects`, `schemas`, `configuration`   the endpoints, and the JSON of versions
- `openapi`         the declaration of endpoints, and models of requests and responses
- `request_parser`  parsing of requests, and of the schemas in them
- `errors`          the error codes
"""
