"""The metrics, for Prometheus and for people.

- `definitions`  every metric: its name, its meaning, and the source of its samples
- `collection`   the state of streams and groups in Redis at one moment
- `exposition`   the response, in Prometheus' format or in JSON

Every value is read from Redis at each request, so all processes answer alike. The cost does not depend on the lengths
of streams: only a bounded number of entries is read.
"""

from synapse.metrics.collection import MOST_LAG
from synapse.metrics.definitions import METRICS
from synapse.metrics.exposition import answer_metrics, wanted_format
