"""The routes of bridges."""

from bridges.api import pull
from core.patterns import route

urlpatterns = [
    route("/v1/publish", pull.Publish.as_view(), "pull-publish"),
    route("/v1/read", pull.Read.as_view(), "pull-read"),
    route("/v1/ack", pull.Ack.as_view(), "pull-ack"),
    route("/v1/nack", pull.Nack.as_view(), "pull-nack"),
    route("/v1/extend", pull.Extend.as_view(), "pull-extend"),
]
