"""A key is sent in three ways, and both the fast path and Django understand each of them."""

import base64
from datetime import timedelta

import pytest
from django.utils import timezone

from streams.access import key_issuance
from streams.models import Key
from synapse.auth import api_key
from synapse.auth.principal import SYSTEM
from tests.access.conftest import bearer
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("streams")
BODY = '{"event_type": "training-complete", "run": "r1"}'
PATH = "/events/training-events"


def made_up(body: str) -> str:
    return body + api_key.checksum(body)


UNKNOWN, ELSEWHERE = made_up("syn_live_abcdefgh_" + "x" * 32), made_up("syn_test_abcdefgh_" + "x" * 32)


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def ways(key: str) -> dict[str, dict[str, str]]:
    _, _, id_, secret = key.split("_")
    return {
        "bearer": bearer(key),
        "bearer in capitals": {"authorization": f"BEARER {key}"},
        "x-api-key": {"x-api-key": key},
        "password": basic("anybody", key),
        "user": basic(key, ""),
        "two parts": basic(id_, secret),
        "both headers": {**bearer(key), "x-api-key": key},
        "beside a gateway's own": {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "x-api-key": key},
    }


@pytest.mark.parametrize("way", ways("syn_live_id_secret"))
def test_a_key_lets_its_service_in(ask, required, key_of, way):
    key = key_of("helox", publishes=["training-events"])

    answer = ask("POST", PATH, BODY, ways(key)[way])

    assert answer.status == 201


def test_an_event_published_with_a_key_has_the_service_as_its_source(ask, required, key_of):
    key = key_of("helox", publishes=["training-events"], subscribes=["training-events"])

    stored = ask("POST", PATH, BODY, bearer(key)).json

    shown = ask("GET", f"/streams/training-events/messages?since={stored['id']}", headers=bearer(key)).json
    assert [message["source"] for message in shown["messages"]] == ["helox"]


def test_a_request_without_a_key_is_refused(ask, required):
    answer = ask("POST", PATH, BODY)

    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer realm="synapse"'
    assert answer.json["type"] == "urn:synapse:problem:unauthenticated"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("secret", "not written like a key"),
        ("", "A key is needed"),
        (UNKNOWN, "is not known here"),
        (UNKNOWN[:-1] + "!", "not written like a key"),
        (ELSEWHERE, "is for “test”, and this is “live”"),
        ("syn_live_" + "é" * 40, "not written like a key"),
    ],
)
def test_the_refusal_of_an_invalid_key_gives_the_reason(ask, required, text, why):
    answer = ask("POST", PATH, BODY, {"x-api-key": text})

    assert answer.status == 401
    assert why in answer.json["detail"]


def test_no_refusal_repeats_the_key_that_was_shown(ask, required):
    key = api_key.make_key("live").text

    answer = ask("POST", PATH, BODY, bearer(key))

    assert key.rpartition("_")[2] not in answer.body.decode()


def test_a_key_in_the_query_is_ignored(ask, required, key_of):
    key = key_of("helox", publishes=["training-events"])

    for name in ("key", "api_key", "x-api-key", "access_token", "authorization", "ticket"):
        assert ask("POST", f"{PATH}?{name}={key}", BODY).status == 401


def test_two_different_keys_are_refused(ask, required, key_of):
    first, second = key_of("helox", publishes=["training-events"]), key_of("cyrex", publishes=["training-events"])

    answer = ask("POST", PATH, BODY, {**bearer(first), "x-api-key": second})

    assert answer.status == 401
    assert "two different keys" in answer.json["detail"]


def test_an_expired_key_is_refused(ask, required, key_of):
    key = key_of("helox", publishes=["training-events"])
    row = Key.objects.get()
    row.expires_at = timezone.now() - timedelta(seconds=1)
    row.save()

    answer = ask("POST", PATH, BODY, bearer(key))

    assert answer.status == 401
    assert answer.json["detail"] == f"The key {row.key_id} of helox has expired."


def test_a_revoked_key_is_refused(ask, required, key_of):
    key = key_of("helox", publishes=["training-events"])
    key_issuance.revoke("helox", Key.objects.get().key_id, by=SYSTEM)

    answer = ask("POST", PATH, BODY, bearer(key))

    assert answer.status == 401
    assert "revoked" in answer.json["detail"]


def test_a_key_of_a_deleted_service_is_refused(ask, required, key_of):
    key = key_of("helox", publishes=["training-events"])
    Key.objects.get().service.delete()

    assert ask("POST", PATH, BODY, bearer(key)).status == 401


def test_where_access_is_open_a_key_names_the_service_and_must_be_valid(ask, key_of):
    key = key_of("helox")

    assert ask("POST", PATH, BODY).status == 201
    assert ask("POST", PATH, BODY, {"x-api-key": "wrong"}).status == 401
    assert ask("POST", PATH, BODY, bearer(api_key.make_key("live").text)).status == 401
    refused = ask("POST", PATH, BODY, bearer(key))
    assert refused.json["detail"] == "service:helox may not publish to training-events."


def test_where_access_is_open_a_foreign_token_is_ignored(ask):
    assert ask("POST", PATH, BODY, {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}).status == 201


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz"])
def test_health_checks_are_answered_with_any_credentials_or_none(ask, required, path):
    assert ask("GET", path).status == 200
    assert ask("GET", path, headers=bearer("wrong")).status == 200


@for_each(
    "path",
    [
        "/streams?x=/healthz",
        "/healthz/x",
        "/healthz/../streams",
        "/nothing",
        "/openapi.json",
        "/docs",
        "/healthz;x",
        "/health%2f..%2fstreams",
    ],
)
def test_paths_that_resemble_open_paths_require_authentication(ask, required, path):
    assert ask("GET", path).status == 401


def test_the_health_check_with_two_slashes_requires_a_key(event_loop_client, required):
    assert event_loop_client("GET", "//healthz").status == 401


def test_a_body_beyond_the_limit_without_a_key_is_answered_401(event_loop_client, required):
    assert event_loop_client("POST", PATH, b"x" * 9_000_000, {"content-length": "9000000"}).status == 401
