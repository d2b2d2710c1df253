"""Keys are issued, rotated and revoked over HTTP and by a command, and each time it is recorded."""

from datetime import timedelta
from io import StringIO

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from core.models import AuditEntry, Role
from streams.access import identification, key_issuance
from streams.models import Key, Service
from streams.snapshot import holder
from synapse.auth import api_key
from synapse.auth.principal import SYSTEM
from synapse.errors.streams import TooManyKeys
from tests.access.conftest import bearer
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("streams", "required")
EVENT = '{"event_type": "training-complete"}'


@pytest.fixture
def warden(key_of):
    """A service that manages the keys of services publishing to training streams."""
    return bearer(key_of("platform", publishes=["training-*"], scopes=["keys:write", "metrics:read"]))


@pytest.fixture
def helox(db):
    service = Service.objects.create(name="helox")
    service.grants.create(action="publish", stream="training-events")
    return service


def ask_for(django, warden, path, **members):
    answer = django("POST", f"/services/{path}", orjson.dumps(members), warden)
    holder.forget()
    return answer


class TestOverHTTP:
    def test_a_key_is_shown_once_and_only_its_digest_is_stored(self, django, warden, helox):
        answer = ask_for(django, warden, "helox/keys", label="cluster", scopes=["publish:training-*"])

        assert answer.status == 201
        assert answer.headers["cache-control"] == "no-store"
        key = answer.json["key"]
        row = helox.keys.get()
        assert (row.key_id, row.label, row.scopes) == (answer.json["id"], "cluster", ["publish:training-*"])
        assert row.digest == api_key.digest(key).hex()
        assert key not in str([*Key.objects.values(), *AuditEntry.objects.values()])
        assert row.digest not in str(list(AuditEntry.objects.values()))
        assert django("POST", "/events/training-events", EVENT, bearer(key)).status == 201

    def test_the_list_of_keys_shows_everything_except_the_keys(self, django, warden, helox):
        key = ask_for(django, warden, "helox/keys", label="cluster").json["key"]

        shown = django("GET", "/services/helox/keys", headers=warden)

        assert [(one["label"], one["state"]) for one in shown.json["keys"]] == [("cluster", "live")]
        assert key not in shown.body.decode()
        assert helox.keys.get().digest not in shown.body.decode()

    def test_a_service_has_at_most_two_live_keys(self, django, warden, helox):
        first, second, third = (ask_for(django, warden, "helox/keys") for _ in range(3))

        assert (first.status, second.status, third.status) == (201, 201, 409)
        assert third.json["type"] == "urn:synapse:problem:too-many-keys"

    def test_two_keys_that_another_service_issued_do_not_keep_the_owners_from_rotating(self, django, warden, helox):
        own = key_issuance.issue("helox", by=SYSTEM)
        for _ in range(2):
            assert ask_for(django, warden, "helox/keys").status == 201

        rotated = key_issuance.rotate("helox", own.key.key_id, by=SYSTEM)

        assert rotated.key.state == "live"
        assert sorted(helox.keys.values_list("issued_by", flat=True)) == ["", "", "platform", "platform"]

    def test_two_keys_of_people_do_not_keep_another_service_from_issuing_its_own(self, django, warden, helox):
        for _ in range(2):
            key_issuance.issue("helox", by=SYSTEM)

        assert ask_for(django, warden, "helox/keys").status == 201
        with pytest.raises(TooManyKeys):
            key_issuance.issue("helox", by=SYSTEM)

    def test_a_service_issues_keys_of_its_own_in_the_places_of_the_service(self, django, warden, helox):
        statuses = [ask_for(django, warden, "platform/keys").status for _ in range(2)]

        # The first place is taken by the key that is shown.
        assert statuses == [201, 409]

    def test_expired_keys_do_not_count_towards_the_limit_of_keys(self, django, warden, helox):
        for _ in range(2):
            ask_for(django, warden, "helox/keys", expires_in=60)
        Key.objects.filter(service=helox).update(expires_at=timezone.now() - timedelta(seconds=1))

        assert ask_for(django, warden, "helox/keys").status == 201

    def test_a_revoked_key_is_refused(self, django, warden, helox):
        issued = ask_for(django, warden, "helox/keys").json

        answer = django("DELETE", f"/services/helox/keys/{issued['id']}", headers=warden)
        holder.forget()

        assert (answer.status, answer.json["state"]) == (200, "revoked")
        assert django("POST", "/events/training-events", EVENT, bearer(issued["key"])).status == 401
        assert django("DELETE", f"/services/helox/keys/{issued['id']}", headers=warden).status == 200
        assert AuditEntry.objects.filter(action="revoke").count() == 1

    def test_a_rotated_key_and_its_successor_are_valid_until_the_overlap_ends(self, django, warden, helox):
        old = ask_for(django, warden, "helox/keys", scopes=["publish:training-*"]).json

        new = ask_for(django, warden, f"helox/keys/{old['id']}/rotate", overlap=3600).json

        assert new["scopes"] == ["publish:training-*"]
        for each in (old, new):
            assert django("POST", "/events/training-events", EVENT, bearer(each["key"])).status == 201
        left = helox.keys.get(key_id=old["id"]).expires_at - timezone.now()
        assert timedelta(minutes=59) < left <= timedelta(hours=1)

    def test_a_rotated_key_expires_when_its_predecessor_would_have(self, django, warden, helox):
        old = ask_for(django, warden, "helox/keys", expires_in=7_776_000).json

        new = ask_for(django, warden, f"helox/keys/{old['id']}/rotate").json

        left = helox.keys.get(key_id=new["id"]).expires_at - timezone.now()
        assert timedelta(days=89) < left <= timedelta(days=90)

    def test_a_key_that_is_not_live_is_not_rotated(self, django, warden, helox):
        old = ask_for(django, warden, "helox/keys").json
        key_issuance.revoke("helox", old["id"], by=SYSTEM)

        assert ask_for(django, warden, f"helox/keys/{old['id']}/rotate").status == 409

    @for_each(
        "members, parameter",
        [
            ({"scopes": ["everything"]}, "scopes"),
            ({"scopes": "keys:write"}, "scopes"),
            ({"scopes": [f"read:{n}" for n in range(51)]}, "scopes"),
            ({"label": "x" * 101}, "label"),
            ({"label": "a\x07b"}, "label"),
            ({"expires_in": 0}, "expires_at"),
            ({"expires_in": -1}, "expires_in"),
            ({"expires_in": 1.5}, "expires_in"),
            ({"expires_in": True}, "expires_in"),
            ({"expires_in": 10**12}, "expires_in"),
            ({"admin": True}, "admin"),
        ],
    )
    def test_a_request_for_a_key_with_an_invalid_member_is_refused(self, django, warden, helox, members, parameter):
        answer = ask_for(django, warden, "helox/keys", **members)

        assert (answer.status, answer.json["parameter"]) == (400, parameter)
        assert not helox.keys.exists()

    def test_a_caller_cannot_issue_a_key_with_a_scope_it_does_not_hold(self, django, warden, helox):
        given = ask_for(django, warden, "helox/keys", scopes=["metrics:read"])
        kept = ask_for(django, warden, "helox/keys", scopes=["registry:write"])

        assert (given.status, kept.status) == (201, 403)
        assert kept.json["missing"] == "registry:write"

    @pytest.mark.parametrize(
        ("action", "stream", "event_type"),
        [
            ("publish", "agi-decisions", "*"),
            ("publish", "*", "*"),
            ("publish", "*-events", "training-complete"),
            ("subscribe", "training-events", "*"),
        ],
    )
    def test_a_service_issues_no_key_that_could_do_more_than_its_own(
        self, django, warden, helox, action, stream, event_type
    ):
        first = ask_for(django, warden, "helox/keys").json
        helox.grants.create(action=action, stream=stream, event_type=event_type)

        issued = ask_for(django, warden, "helox/keys")
        rotated = ask_for(django, warden, f"helox/keys/{first['id']}/rotate")

        right = f"{'publish' if action == 'publish' else 'read'}:{stream}"
        assert [(answer.status, answer.json["missing"]) for answer in (issued, rotated)] == [(403, right)] * 2
        assert issued.json["detail"] == (
            "service:platform may not issue this key of helox: it could do more than the key that is shown "
            f"({right}, event type {event_type})."
        )
        assert helox.keys.count() == 1

    def test_a_caller_may_issue_a_key_narrowed_to_scopes_it_holds(self, django, warden, helox):
        helox.grants.create(action="publish", stream="*")

        wide = ask_for(django, warden, "helox/keys")
        narrow = ask_for(django, warden, "helox/keys", scopes=["publish:training-events"])

        assert (wide.status, narrow.status) == (403, 201)

    def test_a_narrowed_key_cannot_issue_a_wider_one(self, django, key_of, helox):
        narrow = bearer(key_of("platform", publishes=["training-*"], scopes=["keys:write", "publish:training-plans"]))

        assert ask_for(django, narrow, "helox/keys").status == 403
        assert ask_for(django, narrow, "platform/keys").status == 403
        assert ask_for(django, narrow, "platform/keys", scopes=["publish:training-plans"]).status == 201

    def test_a_person_issues_a_key_for_a_service_with_more_rights_than_the_person(self, django, redis, helox):
        user = User.objects.create_user("anna", is_staff=True)
        user.groups.add(Role.objects.get(name="operator"))
        client = Client(headers={"host": "localhost"})
        client.force_login(user)
        helox.grants.create(action="publish", stream="*")

        assert client.post("/services/helox/keys", {}, content_type="application/json").status_code == 201

    def test_unknown_services_and_keys_are_404(self, django, warden, helox):
        assert django("GET", "/services/nobody/keys", headers=warden).status == 404
        assert django("DELETE", "/services/helox/keys/abcdefgh", headers=warden).status == 404

    def test_issuing_a_key_is_recorded_with_its_actor_and_label(self, django, warden, helox):
        issued = ask_for(django, warden, "helox/keys", label="cluster").json

        entry = AuditEntry.objects.filter(action="issue").latest("id")

        assert (entry.actor, entry.target) == ("service:platform", f"key {issued['id']} of helox")
        assert entry.after["label"] == "cluster"


class TestTheCommand:
    def test_issue_key_prints_only_the_key_on_stdout(self, helox):
        out, notes = StringIO(), StringIO()

        call_command("issue_key", "helox", "--scope", "metrics:read", "--expires-in", "P90D", stdout=out, stderr=notes)

        key = out.getvalue().strip()
        row = helox.keys.get()
        assert api_key.parse_key(key) == ("live", row.key_id)
        assert row.scopes == ["metrics:read"]
        assert timedelta(days=89) < row.expires_at - timezone.now() <= timedelta(days=90)
        assert "shown only now" in notes.getvalue()
        assert key not in notes.getvalue()

    def test_issue_key_names_a_service_that_does_not_exist(self, db):
        with pytest.raises(CommandError, match="There is no service “nobody”"):
            call_command("issue_key", "nobody")


# What writes it closes its connection: there may be none open, and no transaction on one.
@pytest.mark.django_db(transaction=True)
class TestUse:
    def test_the_last_use_of_a_key_is_written_at_intervals(self, django, key_of):
        key = bearer(key_of("helox", publishes=["training-events"]))
        begun = timezone.now()
        django("POST", "/events/training-events", EVENT, key)
        assert Key.objects.get().last_used_at is None

        identification.write_last_uses()

        first = Key.objects.get().last_used_at
        assert begun <= first <= timezone.now()
        django("POST", "/events/training-events", EVENT, key)
        identification.write_last_uses()
        assert Key.objects.get().last_used_at == first

    def test_using_a_key_does_not_change_the_catalog_version(self, django, key_of):
        django("POST", "/events/training-events", EVENT, bearer(key_of("helox", publishes=["training-events"])))
        before = holder.refresh().version

        identification.write_last_uses()

        assert holder.refresh().version == before

    def test_a_refused_key_has_no_last_use(self, django, key_of):
        key = key_of("helox")
        key_issuance.revoke("helox", Key.objects.get().key_id, by=SYSTEM)
        holder.forget()

        django("GET", "/streams", headers=bearer(key))
        identification.write_last_uses()

        assert Key.objects.get().last_used_at is None
