"""The routes of streams."""

from core.views import route
from streams.api import audit, contracts, inspect, keys, live, operations, publish, statistics

urlpatterns = [
    route("/events/{stream}", publish.Publish.as_view(), "publish"),
    route("/events/{stream}/validate", publish.Validate.as_view(), "validate"),
    route("/streams", inspect.Streams.as_view(), "streams"),
    route("/streams/{stream}", inspect.OneStream.as_view(), "stream"),
    route("/streams/{stream}/info", inspect.Info.as_view(), "stream-info"),
    route("/streams/{stream}/messages", inspect.Messages.as_view(), "messages"),
    route("/streams/{stream}/messages/{id}", inspect.OneMessage.as_view(), "message"),
    route("/streams/{stream}/live", live.Live.as_view(), "live"),
    route("/streams/{stream}/event-types/{event_type}/backtest", contracts.BackTest.as_view(), "back-test"),
    route("/streams/{stream}/event-types/{event_type}/draft", contracts.Draft.as_view(), "draft-from-traffic"),
    route("/audit", audit.Audit.as_view(), "audit"),
    route("/streams/{stream}/live-ticket", live.Ticket.as_view(), "live-ticket"),
    route("/services/{service}/keys", keys.Keys.as_view(), "keys"),
    route("/services/{service}/keys/{key_id}", keys.OneKey.as_view(), "key"),
    route("/services/{service}/keys/{key_id}/rotate", keys.Rotate.as_view(), "rotate-key"),
    route("/health", operations.Health.as_view(), "health"),
    route("/healthz", operations.Liveness.as_view(), "liveness"),
    route("/readyz", operations.Readiness.as_view(), "readiness"),
    route("/stats", statistics.Stats.as_view(), "stats"),
    route("/metrics", operations.Metrics.as_view(), "metrics"),
]
