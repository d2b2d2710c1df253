"""The WSGI application for `runserver` and other WSGI servers. It answers all routes with Django, without the fast
path.
"""

import atexit
import os
import threading
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synapse_project.settings")
_django = get_wsgi_application()

from bridges.groups import expiry  # noqa: E402 - needs the loaded apps
from streams import background_tasks  # noqa: E402

# The first request takes this lock and keeps it, so that the background tasks start once.
_first = threading.Lock()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a request (PEP 3333). The first request starts the background tasks, because the server may fork before
    it.
    """
    if _first.acquire(blocking=False):
        for start, stop in ((background_tasks.start, background_tasks.stop), (expiry.WORK.start, expiry.WORK.stop)):
            start()
            atexit.register(stop)
    answer: Iterable[bytes] = _django(environ, start_response)
    return answer
