"""Choosing the form of a response by the header `Accept` (RFC 9110, 12.5.1)."""

from synapse.http.accept import accepts_by_name, choose, media_ranges
from tests.tables import for_each

JSON, YAML, EVENTS = "application/json", "application/yaml", "application/cloudevents+json"
OFFERS = (JSON, YAML, EVENTS)


@for_each(
    "accept, chosen",
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (YAML, YAML),
        ("Application/YAML", YAML),
        ("application/yaml;q=0.5, application/json;q=0.4", YAML),
        ("application/yaml ; q=0.5 , application/json ; q=0.4", YAML),
        ("application/json;q=0.4,application/yaml;q=0.5", YAML),
        ("application/yaml, application/json", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", JSON),
        ("application/json, text/plain, */*", JSON),
        ("application/cloudevents+json, */*", EVENTS),
        ("*/*, application/cloudevents+json", EVENTS),
        ("application/*;q=0.9, application/yaml", YAML),
        ("*/*;q=0.1, application/*;q=0.2, application/json;q=0", YAML),
        ("application/json;q=0, */*", YAML),
        ("application/json;q=0", None),
        ("text/html", None),
        ("*/*;q=0", None),
        ("application/*;q=0, application/yaml;q=0.001", YAML),
        ("application/yaml;charset=utf-8", None),
        ("application/yaml;q=1.0;level=1", YAML),
        ('text/html;title="a, application/json", application/yaml', YAML),
        ('text/html;title="a\\", application/json", application/yaml', YAML),
        ("application/yaml;q=nonsense", YAML),
        ("application/yaml;q=7", YAML),
        ("json", JSON),
        (",,;q=0,", JSON),
        ("application/cloudevents-batch+json", None),
        ("application/cloudevents", None),
    ],
)
def test_the_form_that_a_client_prefers_is_chosen(accept, chosen):
    assert choose(accept, OFFERS) == chosen


@for_each(
    "accept, chosen",
    [
        ("text/plain;version=0.0.4", "text/plain;version=0.0.4"),
        ("text/plain", "text/plain"),
        ("text/plain;q=0.5, text/plain;version=0.0.4;q=0.1", "text/plain"),
        ("text/plain;version=1", None),
    ],
)
def test_parameters_of_a_media_type_tell_forms_apart(accept, chosen):
    assert choose(accept, ["text/plain", "text/plain;version=0.0.4"]) == chosen


@for_each(
    "accept, named",
    [
        (EVENTS, True),
        (f"text/event-stream, {EVENTS}", True),
        (f"text/event-stream, {EVENTS};q=0.1", True),
        (f"text/event-stream, {EVENTS};q=0", False),
        ("*/*", False),
        ("application/*", False),
        ("", False),
        (f"{EVENTS}2", False),
    ],
)
def test_a_media_type_is_named_where_the_header_has_more_than_a_wildcard_for_it(accept, named):
    assert accepts_by_name(accept, EVENTS) == named


def test_a_charset_makes_no_other_form_of_json():
    assert choose("application/cloudevents+json; charset=utf-8", ["text/html", "application/cloudevents+json"]) == (
        "application/cloudevents+json"
    )


def test_of_a_long_header_only_the_beginning_is_read():
    beyond = "a/b," * 250 + "text/html"

    assert len(media_ranges("a/b," * 4000)) == 250
    assert choose(beyond, ["application/json", "text/html"]) is None
    assert choose("text/html," + beyond, ["application/json", "text/html"]) == "text/html"
