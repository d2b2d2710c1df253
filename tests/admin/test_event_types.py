"""An event type's example is an event that its stream would take."""

import pytest

from streams.models import EventType
from tests.admin.pages import messages_of, text_of, url
from tests.definitions import contract, define
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("any_schema_may_follow")


@pytest.fixture
def event_type(db):
    define("orders", {"order-placed": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}})
    return EventType.objects.get()


def save(client, event_type, example, **more):
    form = {"stream": event_type.stream_id, "name": event_type.name, "contract": event_type.contract_id or ""}
    return client.post(
        url("streams.eventtype", "change", event_type.pk),
        form | {"description": event_type.description, "example": example} | more,
        follow=True,
    )


def errors_of(page):
    return page.context["adminform"].form.errors["example"]


def test_a_valid_example_is_saved(admin_client, event_type):
    save(admin_client, event_type, '{"event_type": "order-placed", "n": 1}')

    assert EventType.objects.get().example == {"event_type": "order-placed", "n": 1}


@for_each(
    "example, error",
    [
        ('{\n"event_type": "order-placed",\n"n": "one"\n}', "Line 3, /n: “n” must be of type integer"),
        ('{"event_type": "order-placed"}', "The event must have the property “n”."),
        ('{"event_type": "other", "n": 1}', "is an event of type “other”, not “order-placed”."),
        ('{"n": 1}', "The event has no “event_type”."),
        ("[1]", "An event is a JSON object."),
        ('{\n"event_type": }', "(line 2, column"),
        ('{"event_type": "order-placed", "n": 1, "n": 2}', 'The key "n" appears twice'),
    ],
)
def test_an_example_that_would_be_refused_is_refused_with_reason_and_place(admin_client, event_type, example, error):
    page = save(admin_client, event_type, example)

    assert error in errors_of(page)[0]
    assert EventType.objects.get().example is None


def test_an_example_may_be_left_out(admin_client, event_type):
    save(admin_client, event_type, '{"event_type": "order-placed", "n": 1}')

    save(admin_client, event_type, " \n")

    assert EventType.objects.get().example is None


def test_a_change_of_another_field_is_saved_with_a_warning_that_the_example_breaks_the_contract(
    admin_client, event_type
):
    example = '{"event_type": "order-placed", "n": 1}'
    save(admin_client, event_type, example)
    contract("orders.order-placed", {"required": ["m"]})

    page = save(admin_client, event_type, example, description="Somebody bought something.")

    assert EventType.objects.get().description == "Somebody bought something."
    assert "no longer an event that “orders” takes: The event must have the property “m”." in messages_of(page)[0]


def test_a_contract_that_the_example_breaks_cannot_be_chosen(admin_client, event_type):
    example = '{"event_type": "order-placed", "n": 1}'
    save(admin_client, event_type, example)
    other = contract("shared", {"required": ["m"]}).contract

    page = save(admin_client, event_type, example, contract=other.pk)

    assert errors_of(page) == ["The event must have the property “m”."]


def test_the_page_of_an_event_type_links_to_its_test_event(admin_client, event_type):
    page = admin_client.get(url("streams.eventtype", "change", event_type.pk))

    assert "Publish a test event" in text_of(page)


def test_a_list_of_twenty_event_types_takes_at_most_eight_queries(admin_client, db, django_assert_max_num_queries):
    define("orders", {f"type-{place}": {"required": ["n"]} for place in range(20)})

    with django_assert_max_num_queries(8):
        admin_client.get(url("streams.eventtype"))
