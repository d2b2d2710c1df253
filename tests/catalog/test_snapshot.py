"""The hot path's picture of the catalog: current, consistent, and never asked of the database twice."""

import pytest
from django.db import transaction

from core import catalog_version
from streams.models import Stream
from streams.snapshot import SnapshotHolder, holder
from tests.catalog.files import apply
from tests.definitions import contract, define

pytestmark = pytest.mark.usefixtures("any_schema_may_follow")


@pytest.mark.django_db
def test_the_picture_is_read_once(django_assert_num_queries):
    define("orders", {"order-placed": {"required": ["n"]}})
    holder.current()

    with django_assert_num_queries(0):
        stream = holder.current().streams["orders"]

    assert stream.event_types["order-placed"].contract.version == 1


@pytest.mark.django_db
def test_an_unchanged_catalog_is_checked_with_one_query(django_assert_num_queries):
    define("orders")
    holder.refresh()

    with django_assert_num_queries(1):
        holder.refresh()


@pytest.mark.django_db
def test_a_catalog_of_any_size_is_loaded_with_eight_queries(django_assert_num_queries):
    for stream in ("orders", "parcels"):
        define(stream, {"placed": {"required": ["n"]}, "lost": {"required": [stream]}})

    with django_assert_num_queries(8):
        SnapshotHolder().refresh()


@pytest.mark.django_db(transaction=True)
def test_a_change_is_seen_in_its_own_process_when_it_is_committed():
    holder.refresh()
    with transaction.atomic():
        Stream.objects.create(name="orders")
        assert "orders" not in holder.current().streams

    assert "orders" in holder.current().streams


@pytest.mark.django_db
def test_a_change_that_is_rolled_back_does_not_raise_the_number():
    before = catalog_version.current()

    with transaction.atomic():
        Stream.objects.create(name="orders")
        transaction.set_rollback(True)

    assert catalog_version.current() == before


@pytest.mark.django_db(transaction=True)
def test_a_transaction_of_many_changes_raises_the_number_once():
    before = catalog_version.current()

    with transaction.atomic():
        for name in ("orders", "parcels", "returns"):
            Stream.objects.create(name=name)
        with transaction.atomic():
            Stream.objects.filter(name="returns").delete()

    assert catalog_version.current() == before + 1


@pytest.mark.django_db(transaction=True)
def test_a_change_after_a_savepoint_that_was_rolled_back_raises_the_number():
    holder.refresh()
    before = catalog_version.current()

    with transaction.atomic():
        with transaction.atomic():
            Stream.objects.create(name="orders")
            transaction.set_rollback(True)
        Stream.objects.create(name="parcels")

    assert catalog_version.current() == before + 1
    assert set(holder.current().streams) == {"parcels"}


@pytest.mark.django_db(transaction=True)
def test_two_transactions_raise_the_number_twice():
    before = catalog_version.current()

    for name in ("orders", "parcels"):
        with transaction.atomic():
            Stream.objects.create(name=name)

    assert catalog_version.current() == before + 2


@pytest.mark.django_db(transaction=True)
def test_the_listeners_of_a_large_file_are_told_once(monkeypatch):
    told = []
    monkeypatch.setattr(catalog_version, "_listeners", [lambda: told.append(1)])

    apply("streams: [{name: orders, event_types: [{name: placed}]}, {name: parcels}, {name: returns}]")

    assert told == [1]


@pytest.mark.django_db
def test_another_process_sees_the_change_when_it_looks_at_the_number():
    elsewhere = SnapshotHolder()
    elsewhere.refresh()

    define("orders")

    assert "orders" not in elsewhere.current().streams
    assert "orders" in elsewhere.refresh().streams


@pytest.mark.django_db
def test_a_new_version_replaces_the_old_one_and_compiled_schemas_are_kept():
    define("orders", {"order-placed": {"required": ["n"]}, "order-lost": {"required": ["m"]}})
    kept = SnapshotHolder()
    before = kept.refresh().streams["orders"].event_types

    contract("orders.order-placed", {"required": ["n", "o"]})
    after = kept.refresh().streams["orders"].event_types

    assert (before["order-placed"].contract.version, after["order-placed"].contract.version) == (1, 2)
    assert after["order-lost"].contract.schema is before["order-lost"].contract.schema


@pytest.mark.django_db
def test_a_publish_makes_no_query(client, redis, django_assert_num_queries):
    define("orders", {"order-placed": {"required": ["n"]}})
    holder.current()

    with django_assert_num_queries(0):
        client.post("/events/orders", b'{"event_type":"order-placed","n":1}', content_type="application/json")
