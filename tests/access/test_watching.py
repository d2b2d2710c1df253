"""Watching live and waiting for events takes the right to read for as long as it lasts; browsers come with a ticket."""

import threading

import httpx
import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from redis import ResponseError

from bridges.models import Bridge
from bridges.snapshot import holder as bridges
from core.models import AuditEntry
from streams.access import identification, key_issuance
from streams.models import Grant, Key, Stream
from streams.snapshot import holder
from synapse.auth.principal import EVERYTHING, SYSTEM
from synapse.schema.pii import MASK
from tests.access.conftest import bearer
from tests.bridges.cast import now_ms
from tests.live.server import running_server, watching
from tests.patience import eventually
from tests.tables import for_each

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

    def test_a_publisher_of_another_stream_may_not_watch(self, server, key_of):
        other = bearer(key_of("cyrex-agi", publishes=["agi-decisions"]))
        holder.refresh()

        answer = httpx.get(server.url + LIVE, headers=other)

        assert answer.status_code == 403
        assert answer.json()["detail"] == "service:cyrex-agi may not read from training-events."

    def test_a_watching_reader_of_one_event_type_gets_no_event_of_another_type(self, server, helox, key_of):
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

    def test_removing_the_grant_ends_the_connection(self, server, helox):
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

    @for_each("ticket", ["", "x", "x" * 4000, "%00", "é", "*"])
    def test_an_invented_ticket_is_refused(self, server, ticket):
        assert httpx.get(f"{server.url}{LIVE}", params={"ticket": ticket}).status_code == 401

    def test_a_caller_that_may_not_read_the_stream_gets_no_ticket(self, django, key_of):
        publisher = bearer(key_of("helox-2", publishes=["training-events"]))

        assert django("POST", TICKET, headers=publisher).status == 403
        assert django("POST", TICKET).status == 401

    def test_where_access_is_open_an_anonymous_caller_gets_a_ticket(self, server, django, settings):
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
    def test_the_live_tail_of_a_person_ends_soon_after_the_session(
        self, redis, define, required, monkeypatch, way, ended
    ):
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

    def test_an_unknown_session_is_refused(self, redis, define, required):
        define("training-events")
        holder.refresh()

        with running_server() as server:
            answer = httpx.get(server.url + LIVE, headers={"cookie": "sessionid=made-up"})

        assert answer.status_code == 401


class TestManyStreams:
    """`GET /live`: the streams that the caller may read, over one connection."""

    @pytest.fixture
    def reader(self, key_of):
        key = bearer(key_of("reader", subscribes=["training-events", "agi-decisions"]))
        holder.refresh()
        return key

    @pytest.fixture
    def url(self, server):
        return f"{server.url}/live"

    @staticmethod
    def store(redis, stream, number, event_type="training-complete"):
        redis.xadd(stream, {"event_type": event_type, "n": number})

    @staticmethod
    def take_away(stream):
        Grant.objects.get(service__name="reader", action="subscribe", stream=stream).delete()
        holder.refresh()

    def test_all_streams_are_those_that_the_caller_may_read(self, url, redis, helox, reader):
        with watching(url, headers=helox) as watch, watching(url, headers=reader) as of_both:
            self.store(redis, "agi-decisions", 1)
            self.store(redis, "training-events", 2)

            assert watch.numbers(1) == [2]
            assert sorted(of_both.numbers(2)) == [1, 2]
            assert watch.opening.id.count("~") == 1

    @pytest.mark.parametrize("stream", ["agi-decisions", "nowhere"])
    def test_a_stream_that_the_caller_may_not_read_is_refused_whether_it_exists_or_not(self, url, helox, stream):
        answer = httpx.get(url, params={"stream": ["training-events", stream]}, headers=helox)

        assert (answer.status_code, answer.json()["detail"]) == (403, f"service:helox may not read from {stream}.")

    def test_a_caller_that_may_read_no_stream_is_refused(self, url, key_of):
        publisher = bearer(key_of("cyrex-agi", publishes=["agi-decisions"]))
        holder.refresh()

        assert httpx.get(url, headers=publisher).status_code == 403
        assert httpx.get(url).status_code == 401

    def test_event_types_that_the_caller_may_not_read_are_left_out(self, url, redis, key_of):
        some = bearer(key_of("monitoring", subscribes=["training-events/training-failed", "agi-decisions"]))
        holder.refresh()
        self.store(redis, "training-events", 1)
        self.store(redis, "training-events", 2, "training-failed")

        with watching(url, last_id="0", headers=some) as watch:
            assert watch.numbers(1) == [2]
            self.store(redis, "training-events", 3)
            self.store(redis, "agi-decisions", 4)
            assert watch.numbers(1) == [4]

    @pytest.mark.parametrize("asked", ["*", "training-events,agi-decisions"])
    def test_revoking_the_right_to_one_stream_leaves_the_others_also_on_reconnecting(
        self, server, url, redis, reader, asked
    ):
        with watching(url, headers=reader, stream=asked) as watch:
            self.store(redis, "agi-decisions", 1)
            assert watch.numbers(1) == [1]
            both = watch.last_id
            self.take_away("agi-decisions")
            eventually(lambda: server.watching() == 1)
            self.store(redis, "agi-decisions", 2)
            self.store(redis, "training-events", 3)
            assert watch.numbers(1) == [3]

        with watching(url, headers=reader, stream=asked, last_id=both) as watch:
            assert watch.numbers(1) == [3]
            assert watch.opening.id.count("~") == 1

    def test_a_deleted_stream_in_the_position_is_left_out(self, url, redis, reader):
        with watching(url, headers=reader, stream="training-events,agi-decisions") as watch:
            both = watch.last_id
        Stream.objects.get(name="agi-decisions").delete()
        holder.refresh()
        self.store(redis, "training-events", 1)

        with watching(url, headers=reader, stream="training-events,agi-decisions", last_id=both) as watch:
            assert watch.numbers(1) == [1]

    @pytest.mark.parametrize("asked", ["*", "training-events,agi-decisions"])
    def test_the_connection_ends_when_no_stream_is_left(self, url, reader, asked):
        with watching(url, headers=reader, stream=asked) as watch:
            last_id = watch.last_id
            self.take_away("agi-decisions")
            self.take_away("training-events")
            (end,) = watch.rest()

        assert end.name == "bye"
        assert "show again who you are" in end.data["reason"]
        assert httpx.get(url, params={"stream": asked, "last_event_id": last_id}, headers=reader).status_code == 403

    def test_revoking_the_key_ends_the_connection(self, url, reader):
        with watching(url, headers=reader) as watch:
            key_issuance.revoke("reader", Key.objects.get(service__name="reader").key_id, by=SYSTEM)
            holder.refresh()

            assert [frame.name for frame in watch.rest()] == ["bye"]

    def test_a_stream_joins_when_the_caller_gets_the_right_to_read_it(self, url, redis, helox, reader):
        with watching(url, headers=helox) as watch:
            service = Key.objects.get(service__name="helox").service
            Grant.objects.create(service=service, action="subscribe", stream="agi-decisions")
            holder.refresh()
            self.store(redis, "agi-decisions", 1)

            assert watch.numbers(1) == [1]

    def test_a_ticket_for_many_streams_opens_one_connection_and_none_for_a_single_stream(
        self, server, url, django, redis, reader
    ):
        answers = [django("POST", "/live-ticket", headers=reader) for _ in range(2)]
        of_one = ticket_of(django, reader)
        tickets = [answer.json["ticket"] for answer in answers]

        assert (answers[0].status, answers[0].headers["cache-control"]) == (201, "no-store")
        assert set(answers[0].json) == {"ticket", "expires_in"}
        with watching(url, ticket=tickets[0]) as watch:
            self.store(redis, "agi-decisions", 1)
            assert watch.numbers(1) == [1]
        assert httpx.get(url, params={"ticket": tickets[0]}).status_code == 401
        assert httpx.get(f"{server.url}{LIVE}", params={"ticket": tickets[1]}).status_code == 401
        assert httpx.get(url, params={"ticket": of_one}).status_code == 401
        assert django("POST", "/live-ticket").status == 401

    def test_personal_data_is_masked_for_callers_who_may_not_see_it(self, url, redis, define, key_of):
        define("letters", {"letter-sent": {"properties": {"to": {"type": "string", "x-pii": True}}}})
        keys = [bearer(key_of(name, subscribes=["letters"], scopes=scopes)) for name, scopes in CLERKS]
        holder.refresh()
        with watching(url, headers=keys[0]) as masked, watching(url, headers=keys[1]) as whole:
            redis.xadd("letters", {"event_type": "letter-sent", "n": 1, "to": "anna@example.org"})

            assert masked.next().data["event"]["to"] == MASK
            assert whole.next().data["event"]["to"] == "anna@example.org"


CLERKS = (("clerk", []), ("manager", ["personal:read"]))


@pytest.mark.django_db(transaction=True)
def test_a_person_who_watches_all_streams_is_recorded_with_the_names_of_the_streams(redis, define, required):
    define("training-events")
    define("agi-decisions")
    holder.refresh()
    User.objects.create_superuser("admin", password="secret")
    headers = session_of(User.objects.get())

    with running_server() as server:
        with watching(f"{server.url}/live", headers=headers) as watch:
            assert watch.opening.id
        with watching(f"{server.url}/live", headers=headers, stream="agi-decisions,training-events") as watch:
            assert watch.opening.id

    every, two = AuditEntry.objects.filter(action="see payloads").order_by("pk")
    names = ["agi-decisions", "training-events"]
    assert (every.target, every.after) == ("all streams", {"watching": True, "personal": True, "streams": names})
    assert (two.target, two.after["streams"]) == ("streams agi-decisions, training-events", names)


@pytest.mark.django_db
class TestAskingAgain:
    """Whether the people who watch are still logged in, asked of all at once."""

    def people(self, count=1):
        clients = []
        for place in range(count):
            client = Client(headers={"host": "localhost"})
            client.force_login(
                User.objects.create_superuser(f"anna-{place}", password="secret"),
                "django.contrib.auth.backends.ModelBackend",
            )
            clients.append((f"anna-{place}", client.cookies["sessionid"].value))
        return clients

    def test_several_people_are_checked_again_with_two_queries(self, django_assert_num_queries):
        people = self.people(5)

        with django_assert_num_queries(2):
            found = identification.recheck_people(people)

        assert {person: (each.name, each.session, each.rights) for person, each in found.items()} == {
            (name, session): (name, session, EVERYTHING) for name, session in people
        }

    @pytest.mark.parametrize(
        "ended", ["deleted", "expired", "deactivated", "password changed", "renamed", "another's", "another backend"]
    )
    def test_a_check_of_several_people_removes_only_those_who_are_no_longer_logged_in(self, ended, settings):
        (name, session), other = people = self.people(2)
        user = User.objects.get(username=name)
        if ended == "deleted":
            Session.objects.filter(session_key=session).delete()
        elif ended == "expired":
            Session.objects.filter(session_key=session).update(expire_date=timezone.now())
        elif ended == "deactivated":
            User.objects.filter(pk=user.pk).update(is_active=False)
        elif ended == "password changed":
            user.set_password("another")
            user.save()
        elif ended == "renamed":
            User.objects.filter(pk=user.pk).update(username="bo")
        elif ended == "another's":
            people = [(other[0], session), other]
        else:
            settings.AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend"]

        found = identification.recheck_people(people)

        assert found == {person: identification.recheck_person(*person) for person in people}
        assert found[people[0]] is None
        assert (found[other] is None) == (ended == "another backend")

    def test_a_session_of_an_earlier_secret_key_is_still_good(self, settings):
        (person,) = self.people()
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another" * 10

        (found,) = identification.recheck_people([person]).values()

        assert found is not None

    def test_a_person_whose_ticket_names_no_session_is_asked_for_by_name(self):
        ((name, _),) = self.people()

        found = identification.recheck_people([(name, ""), ("bo", "")])

        assert [each and each.name for each in found.values()] == [name, None]
