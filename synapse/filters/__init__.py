"""Filters of events: expressions of a subset of CEL, the Common Expression Language (docs/filters.md).

- `tokens`      the text of a filter in tokens
- `properties`  the properties of a message that a filter uses, looked up in each message
- `conditions`  the conditions of a filter, combined with `&&`, `||`, `!` and `?:`
- `filter`      a filter: its checks, and whether a message meets it
- `library`     the library that parses and evaluates conditions, loaded with the first filter
"""

from synapse.filters.filter import FILTER_HELP, EventFilter, QueryFilter, compile_filter

__all__ = ["FILTER_HELP", "EventFilter", "QueryFilter", "compile_filter"]
