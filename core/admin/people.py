"""The people who may use the admin: Django's users."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from unfold.forms import (  # type: ignore[import-untyped]
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

from core import audit
from core.admin.base import AuditedAdmin, person
from core.templatetags.synapse import moment

# Django's groups of users are not used: a group is a consumer group here, and nothing else.
admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(UserAdmin, AuditedAdmin):  # type: ignore[misc]  # both say how fields look; the theme wins
    """A person's name, password and rights. The record never holds a password, not even its hash."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    secret_columns = ("password",)
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_superuser", "last_seen"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Who it is", {"fields": ["first_name", "last_name", "email"]}),
        ("What they may do", {"fields": ["is_active", "is_staff", "is_superuser", "user_permissions"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "usable_password", "password1", "password2"]})]

    @admin.display(description="last log-in", ordering="last_login")
    def last_seen(self, user: User) -> str:
        return moment(user.last_login)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        """Permissions lie in a table of their own, so what changes there is recorded by itself."""
        before = _permissions(form.instance)
        super().save_related(request, form, formsets, change)
        after = _permissions(form.instance)
        if after != before:
            audit.record(
                person(request),
                "change",
                form.instance,
                before={"user_permissions": before},
                after={"user_permissions": after},
            )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:
            audit.record(person(request), "change password", User.objects.get(pk=id))
        return answer


def _permissions(user: User) -> list[str]:
    return sorted(user.user_permissions.values_list("codename", flat=True))
