"""Contracts as schema registries serve theirs, so that existing clients and tools work unmodified: docs/registry.md.

- `urls`            every route
- `base`            what the views have in common: answers and refusals as registries write them
- `asking`          reading a request; `content`, a schema in one
- `writing`         versions, schemas and verdicts as answers show them
- `refusals`        which error code stands for what
- `subjects` `versions` `schemas` `compatibility` `configuration` `modes` `about`   the views
- `openapi` `shapes`   how the OpenAPI document describes them
"""
