"""Statistics with history through Django REST framework."""

from django.http import HttpResponse
from rest_framework.request import Request

from streams.api.inspect import InspectView
from streams.api.openapi import described, example, query
from streams.api.shapes import statistics as shapes
from synapse.statistics.query import stats
from synapse.statistics.series import SERIES

_MOMENT = (
    "`now`, a time before now such as `-1h`, milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."
)
_NAMES = {"type": "array", "items": {"type": "string", "enum": [each.name for each in SERIES]}}
_ANSWER = {
    "from": 1764460800,
    "to": 1764460815,
    "step": 5,
    "series": [
        {
            "name": "published",
            "stream": "inference-events",
            "kind": "counter",
            "unit": "events",
            "values": [12, None, 14],
        }
    ],
}


class Stats(InspectView):
    @described(
        "Show statistics over time",
        name="stats",
        tag="operations",
        parameters=[
            query(
                "stream", "The series of this stream and of its groups; without it the streams' own, of all streams."
            ),
            query("group", "Only those of this group of the stream."),
            query("series", "Only the series of this name; can be given several times.", _NAMES),
            query("from", f"The begin of the time range. {_MOMENT}", default="-1h"),
            query("to", f"Its end. {_MOMENT}", default="now"),
            query(
                "step",
                "Seconds from one value to the next, or `30s`, `1m`, `2h`, `1d`. Longer ranges have longer ones.",
            ),
        ],
        answers={200: shapes.Statistics},
        problems=[400, 404, 503],
        examples=[example("published events", _ANSWER, status=200)],
    )
    def get(self, request: Request) -> HttpResponse:
        """What was sampled every five seconds in the last 30 days. A counter's value is by how much it grew in the
        step, a gauge's is the highest one in it; null where nothing was sampled."""
        return self.answer(request, stats)
