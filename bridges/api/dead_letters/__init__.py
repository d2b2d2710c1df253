"""Dead letters over HTTP.

- `queries`  the list, one of them, the export
- `actions`  redrive and discard, of many and of one
- `models`   requests and answers, and an example of each
"""
