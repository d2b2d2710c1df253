"""Import redis-py without its own metrics.

Where OpenTelemetry's SDK is installed, redis-py imports it at once, for metrics that Synapse never turns on. That costs
each process an eighth of a second and 10 MB.
"""

import sys

if "redis" not in sys.modules and "opentelemetry" not in sys.modules:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]  # an import of it fails, as if it were not installed
    try:
        import redis  # noqa: F401
    finally:
        del sys.modules["opentelemetry"]
