"""Distributed traces: the contexts that travel with events, and the spans of Synapse. Without a collector it is off.

`otlp.py` and `otlp_metrics.py` alone import OpenTelemetry, and are loaded when the settings ask for them.
"""
