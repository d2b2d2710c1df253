"""The web server with an empty lane table: Django REST framework answers what the express lane answers elsewhere.

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
