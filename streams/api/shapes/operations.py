"""Health checks and metrics."""

from rest_framework.fields import BooleanField, CharField, DictField, FloatField, IntegerField

from streams.api.shapes.base import Shape
from streams.api.shapes.streams import Figures


class Health(Shape):
    """Whether Synapse works."""

    status = CharField(help_text="healthy or unhealthy.")
    service = CharField()
    redis = CharField(help_text="ok or down.")
    database = CharField(help_text="ok or down.")
    error = CharField(required=False)


class Liveness(Shape):
    """That the process answers."""

    healthy = BooleanField()
    service = CharField()
    uptime = IntegerField(help_text="Seconds.")


class Readiness(Shape):
    """Whether events can be published."""

    ready = BooleanField()
    redis_status = CharField(help_text="ok or down.")


class InferenceMetrics(Shape):
    """Sums over the newest inference events."""

    total_inferences = IntegerField()
    avg_latency_ms = FloatField()
    total_tokens = IntegerField()
    time_window_minutes = IntegerField()
    sampled = BooleanField(help_text="At most the newest 1,000 entries of the window are looked at.")


class Metrics(Shape):
    """The figures of all streams."""

    total_streams = IntegerField()
    streams = DictField(child=Figures())
    inference_metrics = InferenceMetrics()
