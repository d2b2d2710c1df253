"""Settings of the tests that are run a second time on PostgreSQL; test_on_postgres.py names the server."""

import os

import environ

from tests.settings import *  # noqa: F403

DATABASES = {"default": environ.Env.db_url_config(os.environ["POSTGRES_OF_THE_TESTS"])}
