"""Issue, rotate and revoke keys, for the API, the admin and the command. Each action is in the audit log.

Only `issue` and `rotate` return the text of a key; it is stored nowhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core import audit, catalog_version
from streams.models import Key, Service
from streams.models.access import LONGEST_LABEL
from streams.snapshot import grants_of
from synapse.auth import api_key, key_rights
from synapse.auth.permission import demand_scope, refused_scope
from synapse.auth.principal import Principal
from synapse.errors.streams import KeyNotLive, TooManyKeys, UnknownKey, UnknownService
from synapse.problems import BadParameter, Forbidden

SCOPE = "keys:write"
# The number of live keys of a service: one in use, and its replacement. Keys issued by each other service are counted
# apart from those issued by the service itself, people and the command. So no service can keep another from rotating
# its key.
MOST_LIVE = 2
OVERLAP, LONGEST_OVERLAP = timedelta(days=1), timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A new key: its row, and its text, which is shown only once."""

    key: Key
    text: str


def keys_of(service: str, *, by: Principal) -> list[Key]:
    """Return all keys of a service, the newest first.

    Raises:
        Forbidden: when the caller does not have the scope `keys:write`, which all functions here demand.
        UnknownService: when there is no such service.
    """
    demand_scope(by, SCOPE)
    return list(_find_service(service).keys.select_related("service"))


def issue(
    service: str, *, by: Principal, label: str = "", scopes: Iterable[str] = (), expires_at: datetime | None = None
) -> NewKey:
    """Issue a key. No caller can give a scope that it does not have, and no service a right to publish or read that its
    own key does not have.

    Raises:
        Forbidden: when the caller may not issue keys, may not give one of the scopes, or has fewer rights than the new
            key.
        UnknownService: when there is no such service.
        BadParameter: when a scope or the label is invalid, or `expires_at` is not in the future.
        TooManyKeys: when the caller has issued two live keys of the service.
    """
    demand_scope(by, SCOPE)
    wanted = _check_scopes(scopes, by)
    with transaction.atomic():
        catalog_version.hold()
        return _create_key(_find_service(service), _check_label(label), wanted, _check_expiry(expires_at), by)


def rotate(service: str, key_id: str, *, by: Principal, overlap: timedelta = OVERLAP) -> NewKey:
    """Issue a key with the scopes and the lifetime of another one, which stays valid until the overlap ends.

    Raises:
        Forbidden: as for `issue`.
        UnknownService, UnknownKey: when there is no such service or key.
        KeyNotLive: when the key was revoked, or has expired.
        TooManyKeys: when the caller has issued another live key of the service.
        BadParameter: when the overlap is longer than 30 days.
    """
    demand_scope(by, SCOPE)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadParameter(f"Both keys are good for at most {LONGEST_OVERLAP.days} days.", parameter="overlap")
    with transaction.atomic():
        catalog_version.hold()
        old = _find_key(service, key_id)
        if old.state != "live":
            raise KeyNotLive(old.key_id, old.state)
        before = _describe_key(old)
        # The new key has the lifetime that the old one was issued with.
        ends = None if old.expires_at is None else timezone.now() + (old.expires_at - old.created_at)
        issued = _create_key(old.service, old.label, _check_scopes(old.scopes, by), ends, by)
        ends = timezone.now() + overlap
        old.expires_at = ends if old.expires_at is None else min(ends, old.expires_at)
        old.save(update_fields=["expires_at"])
        audit.record(by, "rotate", old, before=before, after=_describe_key(old))
    return issued


def revoke(service: str, key_id: str, *, by: Principal) -> Key:
    """Revoke a key, in every process within a second. A repeated call changes nothing.

    Raises:
        Forbidden: when the caller does not have the scope.
        UnknownService, UnknownKey: when there is no such service or key.
    """
    demand_scope(by, SCOPE)
    with transaction.atomic():
        catalog_version.hold()
        key = _find_key(service, key_id)
        if key.revoked_at is None:
            before = _describe_key(key)
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            audit.record(by, "revoke", key, before=before, after=_describe_key(key))
    return key


def _create_key(service: Service, label: str, scopes: list[str], expires_at: datetime | None, by: Principal) -> NewKey:
    _demand_own_rights(service, scopes, by)
    issuer = by.name if by.kind == "service" and by.name != service.name else ""
    live = service.keys.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None, issued_by=issuer)
    if live.count() >= MOST_LIVE:
        raise TooManyKeys(service.name, MOST_LIVE, issuer)
    new = api_key.make_key(settings.KEY_ENVIRONMENT)
    key = Key.objects.create(
        service=service,
        key_id=new.id,
        digest=new.digest.hex(),
        label=label,
        scopes=scopes,
        expires_at=expires_at,
        issued_by=issuer,
    )
    audit.record(by, "issue", key, after=_describe_key(key))
    return NewKey(key=key, text=new.text)


def _demand_own_rights(service: Service, scopes: list[str], by: Principal) -> None:
    """Make sure that a service has, with its own key, all rights of the key that it issues."""
    if by.kind != "service":
        return
    own = Key.objects.filter(key_id=by.key).select_related("service").first()
    mine = [] if own is None else key_rights.lower_bound(grants_of(own.service), own.scopes)
    more = key_rights.first_uncovered(mine, key_rights.upper_bound(grants_of(service), scopes))
    if more is not None:
        right = f"{more.action}:{more.stream}"
        raise Forbidden(
            f"{by} may not issue this key of {service.name}: it could do more than the key that is shown ({right}, "
            f"event type {more.event_type}).",
            missing=right,
        )


def _find_service(name: str) -> Service:
    found = Service.objects.filter(name=name).first()
    if found is None:
        raise UnknownService(name)
    return found


def _find_key(service: str, key_id: str) -> Key:
    found = _find_service(service).keys.select_related("service").filter(key_id=key_id).first()
    if found is None:
        raise UnknownKey(service, key_id)
    return found


def _check_scopes(scopes: Iterable[str], by: Principal) -> list[str]:
    try:
        found = key_rights.check_scopes(scopes)
    except key_rights.BadScope as error:
        raise BadParameter(str(error), parameter="scopes") from None
    for scope in found:
        if scope in key_rights.WORDS and not by.rights.has(scope):
            raise refused_scope(by, scope)
    return found


def _check_label(label: str) -> str:
    text = " ".join(label.split())
    if len(text) > LONGEST_LABEL or not text.isprintable():
        raise BadParameter(f"A label has at most {LONGEST_LABEL} printable characters.", parameter="label")
    return text


def _check_expiry(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= timezone.now():
        raise BadParameter("The key would have expired already.", parameter="expires_at")
    return expires_at


def _describe_key(key: Key) -> dict[str, Any]:
    return audit.describe(key, without=("digest",))
