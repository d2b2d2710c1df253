"""Helpers that read a catalog file in a test."""

from textwrap import dedent

from synapse.catalog.file import BadCatalog
from synapse.catalog.plan import Change
from synapse_project.catalog import Catalog

PLATFORM = "catalog/deepiri.yaml"

ORDERS = """
    streams:
      - name: orders
        purpose: What customers buy
        max_age: P7D
        event_types:
          - name: order-placed
            schema:
              type: object
              required: [number]
              properties:
                number: {type: integer, minimum: 1}
            example: {event_type: order-placed, number: 7}
    services:
      - name: shop
        publishes: [{stream: orders}]
      - name: warehouse
        subscribes: [{stream: orders, event_type: order-placed}]
"""


def catalog(text: str | bytes) -> Catalog:
    return Catalog(dedent(text).encode() if isinstance(text, str) else text, name="file.yaml")


def apply(text: str, **options: bool) -> list[Change]:
    return catalog(text).apply(**options)


def planned(text: str, **options: bool) -> list[str]:
    """The changes that a file plans to, as `+ stream orders`."""
    return [f"{change.action} {change.kind} {change.name}" for change in catalog(text).plan(**options)]


def mistakes(text: str | bytes) -> list[str]:
    """Return the errors of a bad file: each of its mistakes, or the one reason why it cannot be read."""
    try:
        catalog(text).plan()
    except BadCatalog as error:
        return error.problems or [error.detail]
    raise AssertionError("the file is good")
