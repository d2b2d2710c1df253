"""The web server without routes on the event loop: Django REST framework answers all of them.

Run by `synapse.serving_django_only` as `python -m benchmarks.running.django_only`.
"""

import django
import uvicorn

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - needs the loaded apps

from synapse.server.http_protocol import options  # noqa: E402
from synapse_project.front_door import FrontDoor  # noqa: E402

application = FrontDoor(())

if __name__ == "__main__":
    uvicorn.run(application, host=settings.HOST, port=settings.PORT, **options(application))
