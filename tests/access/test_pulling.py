"""A group that is pulled belongs to the service that opened it, and people pull with rights of their own alone."""

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from bridges.models import Bridge
from core.models import AuditEntry
from streams.models import Stream
from tests.access.conftest import bearer

pytestmark = pytest.mark.usefixtures("streams", "required")
STREAM = "training-events"
PLACE = {"stream": STREAM, "consumer_group": "g"}
READ = orjson.dumps({**PLACE, "consumer_name": "c", "block_ms": 0})
SETTLE = orjson.dumps({**PLACE, "entry_ids": ["1-0"]})
# With each, one asks for something of a group.
VERBS = {"read": READ, "ack": SETTLE, "nack": SETTLE, "extend": SETTLE}
# What an editor and an operator have for events, and what takes more.
PAYLOADS = ("view_stream", "view_payload")
PERSONAL, GROUPS = "view_personal", "change_bridge"


@pytest.fixture
def opened(ask, key_of):
    """The group as monitoring's first read made it; its key."""

    def opened():
        key = bearer(key_of("monitoring", subscribes=[STREAM]))
        Bridge.objects.create(
            name="g", stream=Stream.objects.get(name=STREAM), group="g", sink="pull", opened_by="monitoring"
        )
        return key

    return opened()


def person(*permissions):
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


def post(client, verb):
    return client.post(f"/v1/{verb}", VERBS[verb], content_type="application/json")


class TestWhoseGroupItIs:
    def test_the_first_read_makes_the_reading_service_the_owner_of_the_group(self, django, key_of):
        key = bearer(key_of("monitoring", subscribes=[STREAM]))

        assert django("POST", "/v1/read", READ, key).status == 200

        assert Bridge.objects.get().opened_by == "monitoring"
        assert AuditEntry.objects.get(action="create").after["opened_by"] == "monitoring"

    @pytest.mark.parametrize("verb", VERBS)
    def test_another_service_that_may_read_the_stream_may_not_use_the_group(self, ask, opened, key_of, verb):
        other = bearer(key_of("cyrex", subscribes=[STREAM]))

        answer = ask("POST", f"/v1/{verb}", VERBS[verb], other)

        assert (answer.status, answer.json["missing"]) == (403, "groups:write")
        assert answer.json["detail"] == (
            "service:cyrex may not use the group “g” of another service: the scope “groups:write” is missing."
        )

    @pytest.mark.parametrize("verb", VERBS)
    def test_keys_of_the_owner_and_keys_with_groups_write_may_use_the_group(self, ask, opened, key_of, verb):
        keeper = bearer(key_of("cyrex", subscribes=[STREAM], scopes=["groups:write"]))

        assert ask("POST", f"/v1/{verb}", VERBS[verb], opened).status == 200
        assert ask("POST", f"/v1/{verb}", VERBS[verb], keeper).status == 200

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_group_defined_in_the_catalog_is_open_to_every_service_that_may_read_the_stream(
        self, ask, opened, key_of, verb
    ):
        Bridge.objects.update(opened_by="")
        other = bearer(key_of("cyrex", subscribes=[STREAM]))

        assert ask("POST", f"/v1/{verb}", VERBS[verb], other).status == 200

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_key_for_one_event_type_may_not_pull_from_a_group_of_all_event_types(self, ask, opened, key_of, verb):
        Bridge.objects.update(opened_by="")
        some = bearer(key_of("cyrex", subscribes=[f"{STREAM}/training-failed"]))

        answer = ask("POST", f"/v1/{verb}", VERBS[verb], some)

        assert answer.status == 403
        assert answer.json["detail"] == (
            "service:cyrex may not read from all of training-events, but some event types only."
        )

    def test_a_key_for_one_event_type_cannot_open_a_group(self, django, key_of):
        some = bearer(key_of("cyrex", subscribes=[f"{STREAM}/training-failed"]))

        assert django("POST", "/v1/read", READ, some).status == 403

        assert not Bridge.objects.exists()

    def test_a_group_known_to_redis_only_is_acknowledged_by_callers_who_may_act_on_groups(self, django, redis, key_of):
        id_ = redis.xadd(STREAM, {"event_type": "training-complete"})
        redis.xgroup_create(STREAM, "g", "0")
        redis.xreadgroup("g", "c", {STREAM: ">"})
        settle = orjson.dumps({**PLACE, "entry_ids": [id_.decode()]})
        reader = bearer(key_of("monitoring", subscribes=[STREAM]))
        keeper = bearer(key_of("cyrex", subscribes=[STREAM], scopes=["groups:write"]))

        assert django("POST", "/v1/ack", settle, reader).json == {"acked": 0}
        assert django("POST", "/v1/ack", settle, keeper).json == {"acked": 1}


class TestPeople:
    @pytest.mark.parametrize("verb", VERBS)
    @pytest.mark.parametrize(
        ("has", "missing"),
        [((), "personal:read"), ((GROUPS,), "personal:read"), ((PERSONAL,), "groups:write")],
    )
    def test_a_person_without_both_rights_can_neither_read_nor_acknowledge_events(self, redis, verb, has, missing):
        answer = post(person(*PAYLOADS, *has), verb)

        assert (answer.status_code, answer.json()["missing"]) == (403, missing)
        assert not Bridge.objects.exists()

    def test_events_that_a_person_pulls_are_recorded_as_payload_access(self, django, key_of):
        publisher = bearer(key_of("helox", publishes=[STREAM]))
        sent = django("POST", f"/events/{STREAM}", '{"event_type": "training-complete"}', publisher).json

        (event,) = post(person(*PAYLOADS, PERSONAL, GROUPS), "read").json()["events"]

        seen = AuditEntry.objects.get(action="see payloads")
        assert (event["entry_id"], seen.actor, seen.target) == (sent["id"], "person:anna", f"stream {STREAM}")
        assert seen.after == {"events": 1, "ids": [sent["id"]], "personal": True, "pulled_as": "g"}

    def test_a_group_that_a_person_opens_has_no_owner(self, redis):
        assert post(person(*PAYLOADS, PERSONAL, GROUPS), "read").status_code == 200

        assert Bridge.objects.get().opened_by == ""

    def test_events_that_a_service_pulls_are_not_recorded_as_payload_access(self, django, opened, key_of):
        publisher = bearer(key_of("helox", publishes=[STREAM]))
        django("POST", f"/events/{STREAM}", '{"event_type": "training-complete"}', publisher)

        assert len(django("POST", "/v1/read", READ, opened).json["events"]) == 1

        assert not AuditEntry.objects.filter(action="see payloads").exists()
