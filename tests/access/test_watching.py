"""Watching live and waiting for events takes the right to read for as long as it lasts; browsers come with a ticket."""

import threading

import httpx
import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from redis import ResponseError

from bridges.models import Bridge
from bridges.snapshot import holder as bridges
from core.models import AuditEntry
from streams.access import key_issuance
from streams.models import Grant, Key, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from tests.access.conftest import bearer
from tests.bridges.cast import now_ms
from tests.live.server import running_server, watching
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("streams", "required")
LIVE = "/streams/training-events/live"
TICKET = "/streams/training-events/live-ticket"
EVENT = b'{"event_type": "training-complete", "n": 1}'


@pytest.fixture
def helox(key_of):
    """A service that publishes and reads."""
    return bearer(key_of("helox", publishes=["training-events"], subscribes=["training-events"]))


@pytest.fixture
def server(redis, helox):
    holder.refresh()
    with running_server() as running:
        yield running


def publish(server, key, event_type="training-complete", n=1):
    body = {"event_type": event_type, "n": n}
    assert httpx.post(f"{server.url}/events/training-events", json=body, headers=key).status_code == 201


def ticket_of(django, headers):
    answer = django("POST", TICKET, headers=headers)
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    return answer.json["ticket"]


class TestWithAKey:
    def test_a_reader_watches(self, server, helox):
        with watching(server.url + LIVE, headers=helox) as watch:
            publish(server, helox)

            assert watch.numbers(1) == [1]

    def test_an_anonymous_caller_may_not_watch(self, server):
        assert httpx.get(server.url + LIVE).status_code == 401

    def test_a_publisher_of_another_stream_does_not(self, server, key_of):
        other = bearer(key_of("cyrex-agi", publishes=["agi-decisions"]))
        holder.refresh()

        answer = httpx.get(server.url + LIVE, headers=other)

        assert answer.status_code == 403
        assert answer.json()["detail"] == "service:cyrex-agi may not read from training-events."

    def test_a_reader_of_one_event_type_gets_no_others(self, server, helox, key_of):
        some = bearer(key_of("monitoring", subscribes=["training-events/training-failed"]))
        holder.refresh()
        publish(server, helox, n=1)
        publish(server, helox, "training-failed", n=2)

        with watching(server.url + LIVE, last_id="0", headers=some) as watch:
            publish(server, helox, n=3)
            publish(server, helox, "training-failed", n=4)

            assert watch.numbers(2) == [2, 4]

    def test_revoking_the_key_ends_the_connection(self, server, helox):
        with watching(server.url + LIVE, headers=helox) as watch:
            key_issuance.revoke("helox", Key.objects.get().key_id, by=SYSTEM)
            holder.refresh()

            (end,) = watch.rest()

        assert end.name == "bye"
        assert "show again who you are" in end.data["reason"]

    def test_taking_the_grant_away_does_too(self, server, helox):
        with watching(server.url + LIVE, headers=helox) as watch:
            Grant.objects.filter(action="subscribe").get().delete()
            holder.refresh()

            assert [frame.name for frame in watch.rest()] == ["bye"]

    def test_a_waiting_read_gets_no_events_after_its_key_was_revoked(self, server, redis, helox):
        body = {"stream": "training-events", "consumer_group": "g", "consumer_name": "c", "block_ms": 5000}
        Bridge.objects.create(name="g", stream=Stream.objects.get(name="training-events"), group="g", sink="pull")
        holder.refresh()
        bridges.current()
        answers = []
        waiting = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{server.url}/v1/read", json=body, headers=helox, timeout=60))
        )

        waiting.start()
        # One who waits has looked once, and is a consumer of the group.
        eventually(lambda: redis.xinfo_consumers("training-events", "g"), despite=ResponseError)
        key_issuance.revoke("helox", Key.objects.get().key_id, by=SYSTEM)
        holder.refresh()
        bridges.current()
        waiting.join()

        assert answers[0].status_code == 401


class TestWithATicket:
    def test_a_ticket_can_be_used_once(self, server, django, helox):
        ticket = ticket_of(django, helox)

        with watching(server.url + LIVE, ticket=ticket) as watch:
            publish(server, helox)
            assert watch.numbers(1) == [1]

        again = httpx.get(f"{server.url}{LIVE}?ticket={ticket}")
        assert again.status_code == 401
        assert "good once" in again.json()["detail"]

    def test_a_ticket_is_stored_as_a_digest_for_thirty_seconds(self, django, redis, helox):
        begun = now_ms(redis)
        ticket = ticket_of(django, helox)

        (key,) = redis.keys("syn:ticket:*")

        assert ticket.encode() not in key + redis.get(key)
        assert begun + 30_000 <= redis.pexpiretime(key) <= now_ms(redis) + 30_000

    def test_a_ticket_is_valid_for_its_stream_only(self, server, django, helox):
        ticket = ticket_of(django, helox)

        assert httpx.get(f"{server.url}/streams/agi-decisions/live?ticket={ticket}").status_code == 401

    def test_a_ticket_opens_no_route_other_than_the_live_tail(self, server, django, helox):
        ticket = ticket_of(django, helox)

        assert httpx.get(f"{server.url}/streams/training-events/messages?ticket={ticket}").status_code == 401
        assert httpx.post(f"{server.url}/events/training-events?ticket={ticket}", content=EVENT).status_code == 401

    def test_a_ticket_ends_with_the_key_that_requested_it(self, server, django, helox):
        ticket = ticket_of(django, helox)
        key_issuance.revoke("helox", Key.objects.get().key_id, by=SYSTEM)
        holder.refresh()

        assert httpx.get(f"{server.url}{LIVE}?ticket={ticket}").status_code == 401

    @pytest.mark.parametrize("ticket", ["", "x", "x" * 4000, "%00", "é", "*"])
    def test_an_invented_ticket_is_refused(self, server, ticket):
        assert httpx.get(f"{server.url}{LIVE}", params={"ticket": ticket}).status_code == 401

    def test_a_caller_that_may_not_read_the_stream_gets_no_ticket(self, django, key_of):
        publisher = bearer(key_of("helox-2", publishes=["training-events"]))

        assert django("POST", TICKET, headers=publisher).status == 403
        assert django("POST", TICKET).status == 401

    def test_where_access_is_open_everybody_gets_one(self, server, django, settings):
        settings.AUTH = "open"
        ticket = ticket_of(django, {})

        with watching(server.url + LIVE, ticket=ticket) as watch:
            assert watch.opening.id


def session_of(user):
    """Return the header of a browser in which somebody is logged in."""
    client = Client()
    client.force_login(user)
    return {"cookie": f"sessionid={client.cookies['sessionid'].value}"}


@pytest.mark.django_db(transaction=True)
class TestWithASession:
    def test_a_person_who_may_see_events_watches_as_the_admin_does(self, redis, define, required):
        define("training-events")
        holder.refresh()
        User.objects.create_superuser("admin", password="secret")

        with running_server() as server, watching(server.url + LIVE, headers=session_of(User.objects.get())) as watch:
            assert watch.opening.id

        seen = AuditEntry.objects.get(action="see payloads")
        assert (seen.actor, seen.target) == ("person:admin", "stream training-events")
        assert seen.after == {"watching": True, "personal": True}

    def test_watching_with_a_persons_ticket_is_recorded_as_payload_access(self, redis, define, required):
        define("training-events")
        holder.refresh()
        client = Client(headers={"host": "localhost"})
        client.force_login(User.objects.create_superuser("admin", password="secret"))
        ticket = client.post(TICKET).json()["ticket"]

        with running_server() as server, watching(server.url + LIVE, ticket=ticket) as watch:
            assert watch.opening.id

        assert AuditEntry.objects.get(action="see payloads").actor == "person:admin"

    @pytest.mark.parametrize("taken", ["account", "permission", "user"])
    def test_a_person_whose_access_was_removed_is_disconnected_from_the_live_tail(
        self, redis, define, required, monkeypatch, taken
    ):
        monkeypatch.setattr("streams.live.session_revalidation.PEOPLE_EVERY", 0.0)
        define("training-events")
        holder.refresh()
        anna, bo = (User.objects.create_user(name, is_staff=True) for name in ("anna", "bo"))
        for each in (anna, bo):
            each.user_permissions.set(Permission.objects.filter(codename__in=["view_stream", "view_payload"]))

        with (
            running_server() as server,
            watching(server.url + LIVE, headers=session_of(anna)) as hers,
            watching(server.url + LIVE, headers=session_of(bo)) as his,
        ):
            if taken == "account":
                User.objects.filter(pk=anna.pk).update(is_active=False)
            elif taken == "permission":
                anna.user_permissions.clear()
            else:
                anna.delete()
            (end,) = hers.rest()
            redis.xadd("training-events", {"event_type": "training-complete", "n": "1"})
            others = his.numbers(1)

        assert end.name == "bye"
        assert "show again who you are" in end.data["reason"]
        assert len(others) == 1

    @pytest.mark.parametrize("way", ["cookie", "ticket"])
    @pytest.mark.parametrize("ended", ["log out", "session deleted", "password changed"])
    def test_the_live_tail_of_a_session_that_ended_ends_soon(self, redis, define, required, monkeypatch, way, ended):
        monkeypatch.setattr("streams.live.session_revalidation.PEOPLE_EVERY", 0.0)
        define("training-events")
        holder.refresh()
        admin = User.objects.create_superuser("admin", password="secret")
        client, other = Client(headers={"host": "localhost"}), Client(headers={"host": "localhost"})
        for each in (client, other):
            each.force_login(admin)

        def watch(of):
            if way == "ticket":
                return watching(server.url + LIVE, ticket=of.post(TICKET).json()["ticket"])
            return watching(server.url + LIVE, headers={"cookie": f"sessionid={of.cookies['sessionid'].value}"})

        with running_server() as server, watch(client) as hers, watch(other) as theirs:
            if ended == "log out":
                client.post("/admin/logout/")
            elif ended == "session deleted":
                Session.objects.get(session_key=client.cookies["sessionid"].value).delete()
            else:
                admin.set_password("another")
                admin.save()
            (end,) = hers.rest()
            if ended != "password changed":
                # Another session of the same person goes on.
                redis.xadd("training-events", {"event_type": "training-complete", "n": "1"})
                assert len(theirs.numbers(1)) == 1

        assert end.name == "bye"
        assert "show again who you are" in end.data["reason"]

    def test_a_ticket_in_redis_names_no_session(self, redis, define, required):
        define("training-events")
        holder.refresh()
        client = Client(headers={"host": "localhost"})
        client.force_login(User.objects.create_superuser("admin", password="secret"))

        client.post(TICKET)

        (kept,) = [redis.get(name) for name in redis.scan_iter("syn:ticket:*")]
        session = client.cookies["sessionid"].value.encode()
        assert session not in kept
        assert session.hex().encode() not in kept

    def test_nobodys_session_is_nobody(self, redis, define, required):
        define("training-events")
        holder.refresh()

        with running_server() as server:
            answer = httpx.get(server.url + LIVE, headers={"cookie": "sessionid=made-up"})

        assert answer.status_code == 401
