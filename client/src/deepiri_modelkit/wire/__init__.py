"""How an event lies in Redis: the same specification as the server's, and the same golden files hold both."""

from deepiri_modelkit.wire.decoding import DecodedEntry, Layout, PropertyTypes, decode
from deepiri_modelkit.wire.encoding import canonical, encode

__all__ = ["DecodedEntry", "Layout", "PropertyTypes", "canonical", "decode", "encode"]
