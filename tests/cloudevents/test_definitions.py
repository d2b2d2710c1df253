"""Types of CloudEvents are mapped in forms and catalog files, and the page of an event shows its attributes."""

from streams.models import Stream
from synapse.catalog.stream_definitions import CLOUDEVENTS_TYPES
from tests.admin.pages import no_rows, text_of, url
from tests.admin.test_definitions import STREAM
from tests.definitions import define
from tests.tables import for_each

TYPES = {"com.example.order.placed": "order-placed"}
FORM = {"cloudevents_types-name": "com.example.order.placed", "cloudevents_types-value": "order-placed"}
SCRIPT = "<script>alert(1)</script>"


def test_a_stream_is_saved_with_its_types_of_cloudevents(admin_client, redis):
    admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types") | FORM)

    assert Stream.objects.get().cloudevents_types == TYPES


def test_a_type_that_is_no_event_type_is_refused_in_the_form(admin_client, redis):
    wrong = FORM | {"cloudevents_types-value": "order placed"}

    page = admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types") | wrong)

    assert "“order placed” is no event type" in text_of(page)
    assert not Stream.objects.exists()


@for_each(
    "value, refusal",
    [
        ({}, None),
        (TYPES, None),
        ({"com.example/a b": "a"}, None),
        ([], "Event types by other names"),
        ({"a": 1}, "Event types by other names"),
        ({"": "a"}, "has 1 to 200 characters"),
        ({"a" * 201: "a"}, "has 1 to 200 characters"),
        ({"a\nb": "a"}, "has 1 to 200 characters"),
        ({"a": "syn:x"}, "is no event type"),
        ({f"t{number}": "a" for number in range(101)}, "At most 100"),
    ],
)
def test_types_that_cannot_be_mapped_are_refused(value, refusal):
    found = CLOUDEVENTS_TYPES.refusal_of(value)

    assert found == refusal or refusal in found


def test_the_page_of_an_event_shows_its_attributes_as_text(admin_client, redis):
    stream = define("orders")
    event = {"specversion": "1.0", "id": "A-7", "source": "/shop", "type": "order-placed", "subject": SCRIPT}
    answer = admin_client.post("/events/orders", event, content_type="application/cloudevents+json")

    page = admin_client.get(url("streams.stream", "message", stream.pk, answer.json()["id"]))

    assert "CloudEvent" in text_of(page)
    assert SCRIPT not in page.content.decode()
    assert "alert(1)" in text_of(page)
