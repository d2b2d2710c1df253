"""Only superusers change roles, because a person who could change one could take any permission."""

import pytest
from django.contrib.auth.models import Permission, User

from core.models import Role
from tests.admin.pages import no_rows, url

EVERYTHING_WITH_ROLES = ("core.view_role", "core.add_role", "core.change_role", "core.delete_role")


@pytest.fixture
def role(db):
    return Role.objects.create(name="of our own")


@pytest.fixture
def holder_of_it(client_who_may, role):
    """A person who has the role, and every permission on roles but is no superuser."""
    client = client_who_may(*EVERYTHING_WITH_ROLES)
    User.objects.get().groups.add(role)
    return client


def form(name):
    superpower = Permission.objects.get(codename="view_personal")
    return {"name": name, "permissions": [superpower.pk], **no_rows("user_set")}


def test_a_person_who_is_no_superuser_cannot_change_the_permissions_of_a_role(holder_of_it, role):
    answer = holder_of_it.post(url("core.role", "change", role.pk), form("of our own"))

    assert answer.status_code == 403
    assert not role.permissions.exists()


def test_a_person_who_is_no_superuser_cannot_create_or_delete_roles(holder_of_it, role):
    answers = [
        holder_of_it.post(url("core.role", "add"), form("another")),
        holder_of_it.post(url("core.role", "delete", role.pk), {"post": "yes"}),
        holder_of_it.post(
            url("core.role"), {"action": "delete_selected", "_selected_action": [role.pk], "post": "yes"}
        ),
    ]

    assert [answer.status_code for answer in answers[:2]] == [403, 403]
    assert set(Role.objects.values_list("name", flat=True)) == {"viewer", "editor", "operator", "of our own"}


def test_a_person_who_is_no_superuser_may_view_roles(holder_of_it, role):
    pages = [holder_of_it.get(url("core.role")), holder_of_it.get(url("core.role", "change", role.pk))]

    assert [page.status_code for page in pages] == [200, 200]


def test_a_superuser_changes_roles(admin_client, role):
    admin_client.post(url("core.role", "change", role.pk), form("of theirs"))

    role.refresh_from_db()
    assert role.name == "of theirs"
    assert [permission.codename for permission in role.permissions.all()] == ["view_personal"]


def test_only_permissions_that_do_something_here_are_offered(admin_client, admin_user):
    forms = {
        "permissions": admin_client.get(url("core.role", "add")),
        "user_permissions": admin_client.get(url("auth.user", "change", admin_user.pk)),
    }

    for field, page in forms.items():
        offered = page.context["adminform"].form.fields[field]
        assert "Can see personal fields of events" in {name for _, name in offered.choices}
        assert not offered.queryset.filter(content_type__app_label__in=["admin", "axes", "sessions"]).exists()
