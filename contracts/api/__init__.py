"""Contracts as schema registries serve theirs, so that existing clients and tools work unmodified: docs/registry.md.

- `urls`            every route
- `base`            what the views have in common: answers and refusals as registries write them
- `request_parser`  reading a request; `content`, a schema in one
- `base`            versions, schemas and verdicts as answers show them
- `errors`          which error code stands for what
- `subjects`        `versions` `schemas` `compatibility` `configuration` `modes` `about`   the views
- `openapi`         `shapes`   how the OpenAPI document describes them
"""
