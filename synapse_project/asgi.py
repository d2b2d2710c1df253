"""The ASGI application that the web server runs: the front door with every app's lane, and Django behind it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synapse_project.settings")
django.setup(set_prefix=False)

from synapse_project.endpoints import ROUTES  # noqa: E402 - needs the loaded apps
from synapse_project.front_door import FrontDoor  # noqa: E402

application = FrontDoor(ROUTES)
