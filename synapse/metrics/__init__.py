"""What is measured, for Prometheus and for people.

- `definitions`  every metric: its name, what it means, and where its samples come from
- `collection`   what Redis says of streams and groups at one moment
- `exposition`   the answer, in Prometheus' format or in JSON

Every value is read from Redis when it is asked for, so all processes answer the same. The cost does not grow with the
length of a stream: nothing is read through.
"""

from synapse.metrics.collection import MOST_LAG
from synapse.metrics.definitions import METRICS
from synapse.metrics.exposition import metrics, wanted_format

__all__ = ["METRICS", "MOST_LAG", "metrics", "wanted_format"]
