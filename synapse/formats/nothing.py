"""What stands for nothing at all, made once: for defaults that nobody can write into."""

from collections.abc import Mapping
from types import MappingProxyType

NO_TEXTS: Mapping[str, str] = MappingProxyType({})
