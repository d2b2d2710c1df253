"""Distributed traces: the contexts that travel with events, and the spans of Synapse. Without a collector it is off.

`otlp.py` and `otlp_metrics.py` import OpenTelemetry, and are loaded when the settings ask for them. `attachment.py`
imports what a handler's program has loaded already. Nothing else does.
"""
