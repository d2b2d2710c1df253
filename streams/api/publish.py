"""Publishing through Django REST framework: the express lane's twin, for WSGI, `runserver` and the test client."""

from django.http import HttpResponse
from rest_framework.request import Request

from core.views import ApiView, to_django, to_request
from streams import connections, publishing
from streams.access import principal_of
from streams.snapshot import holder


class Publish(ApiView):
    """Publish one event, a JSON array of events, or NDJSON."""

    def post(self, request: Request, stream: str) -> HttpResponse:
        asked = to_request(request._request, principal_of(request), stream=stream)
        return to_django(connections.executor().run(publishing.publish(asked, holder.current(), connections.tally)))


class Validate(ApiView):
    """Check events as publishing would, and store nothing."""

    def post(self, request: Request, stream: str) -> HttpResponse:
        return to_django(
            publishing.validate(to_request(request._request, principal_of(request), stream=stream), holder.current())
        )
