"""Import redis-py without the metrics that it can keep about itself.

Where OpenTelemetry's SDK is installed, redis-py imports it at once, for metrics that are never turned on here: an
eighth of a second for each process, and 10 MB.
"""

import sys

if "redis" not in sys.modules and "opentelemetry" not in sys.modules:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]  # an import of it fails, as if it were not installed
    try:
        import redis  # noqa: F401
    finally:
        del sys.modules["opentelemetry"]
