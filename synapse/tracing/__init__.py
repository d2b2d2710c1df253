"""Distributed traces: the contexts that travel with events, and the spans of Synapse. Without a collector it is off.

`otlp.py` and `otlp_metrics.py` import OpenTelemetry, and are loaded only when the settings ask for them.
`attachment.py` uses OpenTelemetry when a handler's program has loaded it. No other module does.
"""
