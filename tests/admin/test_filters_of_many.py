"""A filter by one of thousands of streams, bridges or services offers some of them, and the one that was chosen."""

import pytest

from core.admin import base
from streams.models import EventType, Stream
from tests.admin.pages import text_of, url

LIST = "streams.eventtype"


@pytest.fixture
def event_types(db, monkeypatch):
    """Four streams with an event type each; two choices are offered."""
    monkeypatch.setattr(base, "MOST_CHOICES", 2)
    streams = [Stream.objects.create(name=f"stream-{number}") for number in range(4)]
    for stream in streams:
        EventType.objects.create(stream=stream, name=f"type-of-{stream.name}")
    return streams


def choices(page):
    (spec,) = page.context["cl"].filter_specs
    return [text for _, text in spec.lookup_choices]


def test_a_filter_offers_the_first_streams(admin_client, redis, event_types):
    assert choices(admin_client.get(url(LIST))) == ["stream-0", "stream-1"]


def test_a_filter_offers_the_chosen_stream_too(admin_client, redis, event_types):
    page = admin_client.get(url(LIST), {"stream__id__exact": event_types[3].pk})

    assert choices(page) == ["stream-0", "stream-1", "stream-3"]
    assert "type-of-stream-3" in text_of(page)
    assert "type-of-stream-0" not in text_of(page)


def test_a_chosen_stream_among_the_first_ones_is_offered_once(admin_client, redis, event_types):
    page = admin_client.get(url(LIST), {"stream__id__exact": event_types[1].pk})

    assert choices(page) == ["stream-0", "stream-1"]


@pytest.mark.parametrize("nonsense", ["x", "-1", "²"])
def test_a_choice_that_is_no_primary_key_does_not_fail(admin_client, redis, event_types, nonsense):
    assert admin_client.get(url(LIST), {"stream__id__exact": nonsense}).status_code in (200, 302)
