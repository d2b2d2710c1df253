"""The routes of streams."""

from core.patterns import route
from streams.api import publish

urlpatterns = [
    route("/events/{stream}", publish.Publish.as_view(), "publish"),
    route("/events/{stream}/validate", publish.Validate.as_view(), "validate"),
]
