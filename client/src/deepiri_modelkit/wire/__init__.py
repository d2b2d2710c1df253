"""The form of events in Redis, as the server specifies it. The same golden files test both."""

from deepiri_modelkit.wire.decoding import DecodedEntry, Layout, PropertyTypes, decode
from deepiri_modelkit.wire.encoding import canonical, encode

__all__ = ["DecodedEntry", "Layout", "PropertyTypes", "canonical", "decode", "encode"]
