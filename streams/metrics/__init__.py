"""What is measured, for Prometheus and for people.

- `table`     every metric: its name, what it means, and where its samples come from
- `reading`   what Redis says of streams and groups at one moment
- `exposing`  the answer, in Prometheus' format or in JSON

Every value is read from Redis when it is asked for, so all processes answer the same. The cost does not grow with the
length of a stream: nothing is read through.
"""

from streams.metrics.exposing import metrics, wanted_format
from streams.metrics.reading import MOST_LAG
from streams.metrics.table import METRICS

__all__ = ["METRICS", "MOST_LAG", "metrics", "wanted_format"]
