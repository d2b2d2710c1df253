"""Services publish, read and pull only as their grants allow, on the fast path and in Django."""

import pytest

from tests.access.conftest import bearer

pytestmark = pytest.mark.usefixtures("streams", "required")
EVENT = '{"event_type": "training-complete", "run": "r1"}'
FAILED = '{"event_type": "training-failed", "run": "r2"}'
TRAINING, DECISIONS = "training-events", "agi-decisions"


def refused(answer, detail: str) -> bool:
    assert answer.status == 403, answer.body
    assert answer.json["type"] == "urn:synapse:problem:forbidden"
    assert answer.json["detail"] == detail
    return True


@pytest.fixture
def publisher(key_of):
    return bearer(key_of("helox", publishes=[TRAINING]))


@pytest.fixture
def reader(key_of):
    return bearer(key_of("monitoring", subscribes=[TRAINING]))


class TestPublishing:
    @pytest.mark.parametrize("path", [f"/events/{DECISIONS}", f"/events/{DECISIONS}/validate"])
    def test_a_publisher_of_one_stream_may_not_publish_to_another(self, ask, publisher, path):
        answer = ask("POST", path, '{"event_type": "decision-made"}', publisher)

        assert refused(answer, "service:helox may not publish to agi-decisions.")
        assert answer.json["missing"] == "publish:agi-decisions"

    def test_a_publish_to_an_unknown_stream_without_a_grant_is_answered_like_one_to_a_known_stream(
        self, ask, publisher
    ):
        answer = ask("POST", "/events/secret-plans", EVENT, publisher)

        assert refused(answer, "service:helox may not publish to secret-plans.")

    def test_an_unknown_stream_that_matches_a_granted_pattern_is_404(self, ask, key_of):
        key = bearer(key_of("cyrex", publishes=["training-*"]))

        assert ask("POST", "/events/training-events", EVENT, key).status == 201
        assert ask("POST", "/events/training-plans", EVENT, key).status == 404

    def test_a_publisher_of_one_event_type_may_not_publish_another(self, ask, key_of):
        key = bearer(key_of("helox", publishes=[f"{TRAINING}/training-complete"]))

        assert ask("POST", f"/events/{TRAINING}", EVENT, key).status == 201
        answer = ask("POST", f"/events/{TRAINING}", FAILED, key)
        assert refused(answer, "service:helox may not publish “training-failed” events to training-events.")

    def test_only_the_events_of_a_batch_that_the_key_may_not_publish_are_refused(self, ask, key_of):
        key = bearer(key_of("helox", publishes=[f"{TRAINING}/training-complete"]))

        answer = ask("POST", f"/events/{TRAINING}", f"[{EVENT}, {FAILED}]", key)

        assert answer.status == 207
        assert [result["status"] for result in answer.json["results"]] == ["accepted", "rejected"]
        assert answer.json["results"][1]["errors"][0]["type"] == "urn:synapse:problem:forbidden"

    def test_a_batch_without_an_event_that_the_key_may_publish_is_forbidden(self, ask, key_of):
        key = bearer(key_of("helox", publishes=[f"{TRAINING}/training-complete"]))

        assert ask("POST", f"/events/{TRAINING}", f"[{FAILED}, {FAILED}]", key).status == 403

    def test_two_services_may_use_the_same_idempotency_key(self, ask, key_of, reader):
        first, second = (bearer(key_of(name, publishes=[TRAINING])) for name in ("helox", "cyrex"))

        answers = [
            ask("POST", f"/events/{TRAINING}", EVENT, {**key, "idempotency-key": "one"})
            for key in (first, second, first)
        ]

        assert [answer.status for answer in answers] == [201, 201, 200]


class TestReading:
    def test_a_publisher_may_not_read_its_own_events(self, ask, publisher):
        ask("POST", f"/events/{TRAINING}", EVENT, publisher)

        answer = ask("GET", f"/streams/{TRAINING}/messages", headers=publisher)

        assert refused(answer, "service:helox may not read from training-events.")

    def test_a_publisher_sees_the_stream_and_none_of_its_events(self, ask, publisher):
        ask("POST", f"/events/{TRAINING}", EVENT, publisher)

        info = ask("GET", f"/streams/{TRAINING}/info", headers=publisher)
        listed = ask("GET", "/streams", headers=publisher)

        assert (info.json["length"], info.json["first-entry"], info.json["last-entry"]) == (1, None, None)
        assert [stream["name"] for stream in listed.json["streams"]] == [TRAINING]
        assert listed.json["streams"][0]["last_entry"] is None

    def test_a_reader_sees_the_ends_of_its_stream(self, ask, publisher, reader):
        stored = ask("POST", f"/events/{TRAINING}", EVENT, publisher).json

        assert ask("GET", f"/streams/{TRAINING}/info", headers=reader).json["last-entry"][0] == stored["id"]

    def test_a_reader_of_one_event_type_gets_no_event_of_another_type(self, ask, publisher, key_of):
        key = bearer(key_of("monitoring", subscribes=[f"{TRAINING}/training-failed"]))
        ids = [ask("POST", f"/events/{TRAINING}", body, publisher).json["id"] for body in (EVENT, FAILED, EVENT)]

        page = ask("GET", f"/streams/{TRAINING}/messages?order=oldest&count=1", headers=key)
        info = ask("GET", f"/streams/{TRAINING}/info", headers=key)

        assert [message["id"] for message in page.json["messages"]] == [ids[1]]
        assert ask("GET", f"/streams/{TRAINING}/messages/{ids[0]}", headers=key).status == 404
        assert ask("GET", f"/streams/{TRAINING}/messages/{ids[1]}", headers=key).status == 200
        assert info.json["last-entry"] is None

    def test_entries_without_an_event_type_are_shown_only_to_keys_that_may_read_the_whole_stream(
        self, ask, redis, reader, key_of
    ):
        some = bearer(key_of("cyrex", subscribes=[f"{TRAINING}/training-*"]))
        redis.xadd(TRAINING, {"note": "written by another program"})

        assert len(ask("GET", f"/streams/{TRAINING}/messages", headers=reader).json["messages"]) == 1
        assert ask("GET", f"/streams/{TRAINING}/messages", headers=some).json["messages"] == []

    def test_streams_without_a_grant_for_the_key_are_not_listed(self, ask, key_of):
        stranger = bearer(key_of("frontend-dev", subscribes=["inference-events"]))

        assert ask("GET", "/streams", headers=stranger).json == {"streams": []}
        assert ask("GET", f"/streams/{TRAINING}", headers=stranger).status == 403

    def test_groups_are_shown_to_callers_that_may_read(self, ask, reader, publisher):
        assert ask("GET", f"/streams/{TRAINING}/groups", headers=reader).status == 200
        assert ask("GET", f"/streams/{TRAINING}/groups", headers=publisher).status == 403

    def test_metrics_hide_events_from_callers_that_may_not_read_them(self, django, publisher, key_of):
        django("POST", f"/events/{TRAINING}", EVENT, publisher)
        key = bearer(key_of("prometheus", scopes=["metrics:read"]))

        shown = django("GET", "/metrics", headers=key).json["streams"][TRAINING]

        assert (shown["length"], shown["last_entry"]) == (1, None)


class TestPulling:
    PLACE = f'"stream": "{TRAINING}", "consumer_group": "g"'
    READ = f'{{{PLACE}, "consumer_name": "c", "block_ms": 0}}'

    def test_a_publisher_may_not_pull(self, ask, publisher):
        assert refused(
            ask("POST", "/v1/read", self.READ, publisher), "service:helox may not read from training-events."
        )

    def test_a_key_without_a_publish_grant_is_refused_in_the_sidecar_protocol_too(self, ask, publisher):
        body = f'{{"stream": "{DECISIONS}", "event_type": "decision-made", "payload": {{}}}}'

        assert refused(ask("POST", "/v1/publish", body, publisher), "service:helox may not publish to agi-decisions.")

    def test_a_group_of_all_types_requires_the_right_to_read_all(self, ask, key_of):
        from bridges.models import Bridge
        from streams.models import Stream

        some = bearer(key_of("cyrex", subscribes=[f"{TRAINING}/training-failed"]))
        Bridge.objects.create(name="all", stream=Stream.objects.get(name=TRAINING), group="g", sink="pull")

        answer = ask("POST", "/v1/read", self.READ, some)

        assert refused(answer, "service:cyrex may not read from all of training-events, but some event types only.")

    def test_a_group_of_some_types_requires_the_right_to_read_those(self, ask, key_of):
        from bridges.models import Bridge
        from streams.models import Stream

        some = bearer(key_of("cyrex", subscribes=[f"{TRAINING}/training-failed"]))
        stream = Stream.objects.get(name=TRAINING)
        Bridge.objects.create(name="f", stream=stream, group="g", sink="pull", event_types=["training-failed"])

        assert ask("POST", "/v1/read", self.READ, some).status == 200

    @pytest.mark.parametrize("verb", ["ack", "nack", "extend"])
    def test_a_key_without_a_read_grant_may_not_ack_nack_or_extend(self, ask, publisher, verb):
        body = f'{{{self.PLACE}, "entry_ids": ["1-0"]}}'

        assert ask("POST", f"/v1/{verb}", body, publisher).status == 403


class TestTheRegistry:
    @pytest.fixture
    def registered(self, define):
        define("orders", {"order-placed": {"type": "object", "properties": {"n": {"type": "integer"}}}})

    def test_the_registry_is_empty_for_a_key_without_its_scope(self, django, registered, reader):
        assert django("GET", "/registry/subjects", headers=reader).json == []
        assert django("GET", "/registry/schemas", headers=reader).json == []
        version = django("GET", "/registry/subjects/orders.order-placed/versions/1", headers=reader)
        assert (version.status, version.json["error_code"]) == (404, 40401)
        schema = django("GET", "/registry/schemas/ids/1", headers=reader)
        assert (schema.status, schema.json["error_code"]) == (404, 40403)

    def test_a_registry_read_scope_allows_reading_but_not_deleting_subjects(self, django, registered, key_of):
        key = bearer(key_of("cyrex", scopes=["registry:read"]))

        assert django("GET", "/registry/subjects", headers=key).json == ["orders.order-placed"]
        answer = django("DELETE", "/registry/subjects/orders.order-placed", headers=key)
        assert (answer.status, answer.json["error_code"]) == (403, 40301)

    def test_an_anonymous_caller_is_refused_in_the_words_of_registries(self, django, registered):
        answer = django("GET", "/registry/subjects")

        assert answer.status == 401
        assert answer.json["error_code"] == 401
        assert all(scheme in answer.headers["www-authenticate"] for scheme in ("Basic realm=", "Bearer realm="))

    def test_a_registry_write_scope_allows_registering_a_schema(self, django, registered, key_of):
        key = bearer(key_of("cyrex", scopes=["registry:write", "registry:read"]))

        body = '{"schemaType": "JSON", "schema": "{}"}'

        assert django("POST", "/registry/subjects/payments/versions", body, key).status == 200


class TestTheMetricsToken:
    def test_the_metrics_token_opens_the_metrics_and_no_other_route(self, ask, settings):
        settings.METRICS_TOKEN = "t" * 20
        token = bearer("t" * 20)

        assert ask("GET", "/metrics", headers=token).status == 200
        assert ask("GET", "/streams", headers=token).status == 401
        assert ask("GET", "/metrics", headers=bearer("t" * 19)).status == 401

    def test_a_key_without_the_metrics_scope_gets_no_metrics(self, ask, reader):
        answer = ask("GET", "/metrics", headers=reader)

        assert refused(answer, "service:monitoring may not do this: the scope “metrics:read” is missing.")
