"""The ASGI application that the web server runs: the front door with every app's lane, and Django behind it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synapse_project.settings")
django.setup(set_prefix=False)

from synapse_project.front_door import ROUTES, FrontDoor  # noqa: E402 - needs the loaded apps

application = FrontDoor(ROUTES)
