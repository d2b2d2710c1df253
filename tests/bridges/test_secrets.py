"""Secrets: they go in, are used by their names, and never come out again."""

import pytest
from django.contrib.auth.models import Permission, User

from bridges import secrets
from bridges.models import Bridge, Secret
from core.models import AuditEntry
from synapse.delivery.webhooks import signature
from synapse.errors.delivery import SecretLost
from synapse_project import catalog as project_catalog
from synapse_project import environment
from tests.admin.pages import messages_of, text_of, url
from tests.definitions import define
from tests.tables import for_each

SECRET = "bridges.secret"
VALUE = "whsec_c2lnbmVkIGJ5IHRoZSBzaG9wIG9mIHRoZSB0ZXN0cw=="


@pytest.fixture
def kept(db):
    """A secret in the database."""
    row = Secret(name="shop")
    secrets.change_value(row, VALUE, keep_previous=True)
    row.save()
    return row


def test_a_secret_is_encrypted_where_it_is_kept(kept):
    row = Secret.objects.get()

    assert VALUE not in f"{row.value} {row.previous}"
    assert secrets.values_of("shop") == [VALUE]


def test_a_secret_is_readable_with_an_older_key_until_it_is_saved_anew(kept, settings):
    settings.SECRETS_KEYS = ["a new passphrase of 32 characters", *settings.SECRETS_KEYS]
    assert secrets.values_of("shop") == [VALUE]

    secrets.change_value(kept, VALUE, keep_previous=False)
    kept.save()
    settings.SECRETS_KEYS = settings.SECRETS_KEYS[:1]
    assert secrets.values_of("shop") == [VALUE]


def test_with_another_key_it_is_lost_and_that_is_said(kept, settings):
    settings.SECRETS_KEYS = ["another passphrase of 32 characters"]

    with pytest.raises(SecretLost, match="“shop” was encrypted with another SYNAPSE_SECRETS_KEY or SECRET_KEY"):
        secrets.values_of("shop")


def test_a_sealed_secret_that_was_tampered_with_cannot_be_read():
    sealed = secrets.seal("text", ["passphrase"])

    with pytest.raises(secrets.Unreadable):
        secrets.unseal(sealed[:-5] + "AAAA=", ["passphrase"])


def test_the_environment_wins_and_may_hold_the_previous_one_too(kept, settings):
    settings.BRIDGE_SECRETS = {"SYNAPSE_SECRET_SHOP": "new", "SYNAPSE_SECRET_SHOP_PREVIOUS": "old"}

    assert secrets.values_of("shop") == ["new", "old"]
    assert secrets.variable_of("orders-to.shop:1") == "SYNAPSE_SECRET_ORDERS_TO_SHOP_1"


def test_secrets_of_the_environment_are_read_from_variables_and_files(tmp_path):
    (tmp_path / "token").write_text("in a file\n")
    variables = {
        "SYNAPSE_SECRET_SHOP": "here",
        "SYNAPSE_SECRET_TOKEN_FILE": str(tmp_path / "token"),
        "SYNAPSE_SECRET_EMPTY": "",
        "SYNAPSE_SECRETS_KEY": "no secret of a bridge",
    }

    assert environment.read_secrets(variables) == {"SYNAPSE_SECRET_SHOP": "here", "SYNAPSE_SECRET_TOKEN": "in a file"}


def test_a_secret_made_in_the_admin_is_shown_once(admin_client, db):
    made = admin_client.post(url(SECRET, "add"), {"name": "shop", "generate": "on", "keep_previous": "on"}, follow=True)

    (value,) = secrets.values_of("shop")
    assert signature.key_of(value)
    assert any(value in message for message in messages_of(made))
    page = url(SECRET, "change", Secret.objects.get().pk)
    for answer in (admin_client.get(page), admin_client.get(url(SECRET))):
        assert value not in answer.content.decode()


def test_a_new_value_keeps_the_previous_one_in_use_until_that_is_taken_away(admin_client, kept):
    page = url(SECRET, "change", kept.pk)

    admin_client.post(page, {"new_value": "another", "keep_previous": "on"})
    assert secrets.values_of("shop") == ["another", VALUE]

    admin_client.post(page, {"keep_previous": "on"})
    assert secrets.values_of("shop") == ["another", VALUE]

    admin_client.post(page, {})
    assert secrets.values_of("shop") == ["another"]


@for_each(
    "values, words",
    [
        ({}, "Give a value, or have one made."),
        ({"new_value": "a", "generate": "on"}, "There is a new value already."),
        ({"new_value": "a\x07b"}, "Printable ASCII only."),
        ({"new_value": "ä"}, "Printable ASCII only."),
        ({"name": "a b", "new_value": "a"}, "A name has"),
    ],
)
def test_a_secret_that_cannot_be_is_refused(admin_client, db, values, words):
    answer = admin_client.post(url(SECRET, "add"), {"name": "shop", **values})

    assert words in text_of(answer)
    assert not Secret.objects.exists()


def test_neither_the_audit_log_nor_a_catalog_file_holds_a_secret(admin_client, kept):
    admin_client.post(url(SECRET, "change", kept.pk), {"new_value": "another", "keep_previous": "on"})
    Bridge.objects.create(
        name="to-shop",
        stream=define("orders"),
        group="shop",
        sink="webhook",
        config={"url": "https://example.com/", "secret": "shop"},
    )

    kept.refresh_from_db()
    entry = AuditEntry.objects.get(target="secret shop")
    assert (entry.before["value"], entry.after["value"]) == ("(secret)", "(secret)")
    texts = f"{entry.before} {entry.after} {project_catalog.export()}"
    assert not [text for text in (VALUE, "another", kept.value, kept.previous) if text in texts]
    assert "secret: shop" in texts


def test_a_person_who_may_only_view_a_secret_cannot_change_it(client, kept):
    person = User.objects.create_user("someone", password="secret", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_secret"))
    client.force_login(person)

    assert client.get(url(SECRET, "change", kept.pk)).status_code == 200
    assert client.post(url(SECRET, "change", kept.pk), {"new_value": "another"}).status_code == 403
    assert secrets.values_of("shop") == [VALUE]
