"""Applying a catalog file: all of it or nothing, again without effect, and no deletion unless told."""

from datetime import timedelta

import pytest

from contracts.models import Contract
from core import catalog_version
from core.models import AuditEntry
from streams.models import EventType, Grant, Service, Stream
from streams.snapshot import holder
from tests.catalog.files import ORDERS, apply, planned

pytestmark = pytest.mark.django_db


def test_definitions_in_the_file_are_created():
    apply(ORDERS)

    stream = Stream.objects.get()
    assert (stream.name, stream.purpose, stream.max_age) == ("orders", "What customers buy", timedelta(days=7))
    event_type = EventType.objects.get()
    assert event_type.contract.subject == event_type.own_subject
    assert event_type.example == {"event_type": "order-placed", "number": 7}
    assert [str(grant) for grant in Grant.objects.all()] == [
        "shop may publish orders/*",
        "warehouse may subscribe orders/order-placed",
    ]


def test_settings_left_out_of_the_file_return_to_their_defaults():
    apply(ORDERS)
    Stream.objects.update(when_full="reject", enforcement="off", max_length=5, hard_length=10, layout="dual")

    apply(ORDERS)

    stream = Stream.objects.get()
    assert (stream.when_full, stream.enforcement, stream.layout) == ("drop_oldest", "enforce", "flat")
    assert (stream.max_length, stream.hard_length) == (None, 1_000_000)


def test_every_setting_of_a_stream_is_taken_over():
    apply("""
        streams:
          - {name: s, layout: dual, enforcement: off, unknown_event_types: reject, max_length: 5, max_age: PT1H30M,
             hard_length: 10, when_full: reject}
    """)

    stream = Stream.objects.get()
    assert (stream.layout, stream.enforcement, stream.unknown_event_types) == ("dual", "off", "reject")
    assert (stream.max_length, stream.hard_length, stream.when_full) == (5, 10, "reject")
    assert stream.max_age == timedelta(minutes=90)


def test_a_second_time_changes_nothing():
    apply(ORDERS)
    version, records = catalog_version.current(), AuditEntry.objects.count()

    changes = apply(ORDERS)

    assert changes == []
    assert (catalog_version.current(), AuditEntry.objects.count()) == (version, records)


def test_a_change_raises_the_catalogs_version_and_acts_on_the_next_publish():
    apply(ORDERS)
    version = catalog_version.current()
    assert holder.refresh().streams["orders"].when_full == "drop_oldest"

    apply(ORDERS.replace("max_age: P7D", "when_full: reject"))

    assert catalog_version.current() > version
    assert holder.refresh().streams["orders"].when_full == "reject"


def test_each_change_is_recorded():
    apply(ORDERS)
    AuditEntry.objects.all().delete()

    apply(ORDERS.replace("P7D", "P1D").replace("What customers buy", "Orders"))

    record = AuditEntry.objects.get()
    assert (record.actor, record.action, record.target) == ("catalog", "update", "stream orders")
    assert record.before == {"purpose": "What customers buy", "max_age": "P7D"}
    assert record.after == {"purpose": "Orders", "max_age": "P1D"}


def test_creations_and_deletions_are_recorded_too():
    apply(ORDERS)
    apply("services: []", delete=True)

    records = AuditEntry.objects.order_by("id").values_list("actor", "action", "target")
    assert list(records) == [
        ("catalog", "create", "contract orders.order-placed"),
        ("catalog", "activate", "contract orders.order-placed"),
        ("catalog", "create", "stream orders"),
        ("catalog", "create", "event type orders/order-placed"),
        ("catalog", "create", "service shop"),
        ("catalog", "create", "service warehouse"),
        ("catalog", "create", "grant shop may publish orders/*"),
        ("catalog", "create", "grant warehouse may subscribe orders/order-placed"),
        ("catalog", "delete", "grant shop may publish orders/*"),
        ("catalog", "delete", "grant warehouse may subscribe orders/order-placed"),
        ("catalog", "delete", "service shop"),
        ("catalog", "delete", "service warehouse"),
    ]


def test_a_failure_in_the_middle_leaves_nothing_behind(monkeypatch):
    def fail(*_):
        raise RuntimeError("the disk is full")

    version = catalog_version.current()

    with monkeypatch.context() as patch:
        patch.setattr(Grant.objects, "bulk_create", fail)
        with pytest.raises(RuntimeError):
            apply(ORDERS)

    assert not Stream.objects.exists()
    assert not Contract.objects.exists()
    assert not AuditEntry.objects.exists()
    assert catalog_version.current() == version


def test_definitions_missing_from_the_file_stay():
    apply(ORDERS)

    apply("streams: [{name: parcels}]\nservices: []")

    assert set(Stream.objects.values_list("name", flat=True)) == {"orders", "parcels"}
    assert Service.objects.count() == 2
    assert Grant.objects.count() == 2
    assert EventType.objects.count() == 1


def test_definitions_missing_from_the_file_are_deleted_on_request():
    apply(ORDERS)

    apply("streams: [{name: parcels}]\nservices: [{name: shop}]", delete=True)

    assert [stream.name for stream in Stream.objects.all()] == ["parcels"]
    assert [service.name for service in Service.objects.all()] == ["shop"]
    assert not Grant.objects.exists()
    assert not EventType.objects.exists()


def test_a_section_that_the_file_leaves_out_is_never_emptied():
    apply(ORDERS)

    apply("services: []", delete=True)

    assert Stream.objects.count() == 1
    assert not Service.objects.exists()


def test_contracts_are_never_deleted():
    apply(ORDERS)

    apply("streams: []\ncontracts: []", delete=True)

    assert Contract.objects.get().subject == "orders.order-placed"


def test_only_new_leaves_alone_what_is_there():
    apply(ORDERS)
    Stream.objects.update(purpose="Changed by a person")

    apply(ORDERS + "      - name: accounting\n", only_new=True)

    assert Stream.objects.get().purpose == "Changed by a person"
    assert Service.objects.filter(name="accounting").exists()


def test_a_plan_says_what_apply_would_do_and_changes_nothing():
    apply(ORDERS)
    text = ORDERS.replace("P7D", "P1D").replace("shop", "market")

    assert planned(text, delete=True) == [
        "update stream orders",
        "create service market",
        "create grant market may publish orders/*",
        "delete grant shop may publish orders/*",
        "delete service shop",
    ]
    assert Stream.objects.get().max_age == timedelta(days=7)


def test_values_that_mean_the_same_are_no_change():
    apply(ORDERS)

    same = ORDERS.replace("P7D", "PT168H").replace("minimum: 1", "minimum: 1.0").replace("number: 7", "number: 7.0")

    assert planned(same) == []


def test_true_is_not_the_number_one(any_schema_may_follow):
    text = "contracts: [{subject: flag, schema: {const: 1}}]"
    apply(text)

    assert planned(text.replace("1", "true")) == ["update contract flag"]
