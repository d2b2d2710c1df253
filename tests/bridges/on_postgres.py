"""Settings of the tests that are run a second time on PostgreSQL; test_on_postgres.py names the server."""

import os

import environ

from tests.settings import *  # noqa: F403

# What tests.postgres makes; it is not imported here, because it needs settings.
MIGRATED = "migrated"

DATABASES = {"default": environ.Env.db_url_config(os.environ["POSTGRES_OF_THE_TESTS"])}
# All tables are there: Django's test runner would make them anew.
DATABASES["default"]["TEST"] = {"TEMPLATE": MIGRATED}
