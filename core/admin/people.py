"""Admin pages of people (Django's users) and roles (Django's groups of users), and for logging out and changing one's
own password.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from unfold.forms import (  # type: ignore[import-untyped]
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

from core import audit, logins
from core.admin import home
from core.admin.base import AuditedAdmin, person
from core.logins import answer_locked_out
from core.models import Role
from core.templatetags.synapse import moment

# In Synapse, "group" always means a consumer group, so Django's groups of users are called roles.
admin.site.unregister(Group)
admin.site.unregister(User)

# The fields that give a person more rights. Only a superuser may set them, so that people who may edit people cannot
# raise their own rights.
_POWERS = ("is_superuser", "groups", "user_permissions")
# Permissions for models of Django and its libraries that have no page in this admin.
_WITHOUT_PAGES = Q(content_type__app_label__in=("admin", "axes", "contenttypes", "sessions")) | Q(
    content_type__app_label="auth", content_type__model__in=("group", "permission")
)
_HELP = {
    "is_active": "Whether the user can log in. Better than deleting a user, whose name the audit log keeps.",
    "is_staff": "Whether the user can open the admin.",
    "is_superuser": "Whether the user has all permissions.",
    "groups": "A user has all permissions of all their roles.",
    "user_permissions": "Permissions besides those of the roles.",
    "permissions": "",
}


def _describe_field(field: Any, name: str) -> Any:
    """Describe a field of Django's models in the terms of this admin, and offer only permissions that some page
    checks.
    """
    if field is None or name not in _HELP:
        return field
    field.help_text = _HELP[name]
    if name == "groups":
        field.label = "Roles"
    elif name in ("permissions", "user_permissions"):
        field.queryset = Permission.objects.exclude(_WITHOUT_PAGES).order_by(
            "content_type__app_label", "content_type__model", "codename"
        )
        field.label_from_instance = lambda permission: permission.name
    return field


@admin.register(User)
class PersonAdmin(UserAdmin, AuditedAdmin):  # type: ignore[misc]  # both define the fields' widgets; the theme's win
    """A person's name, password and rights. The audit log never holds a password, not even its hash."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    secret_columns = ("password",)
    list_display = ["username", "first_name", "last_name", "email", "roles", "is_active", "is_superuser", "last_seen"]
    list_filter = ["is_active", "is_staff", "is_superuser", ("groups", admin.RelatedOnlyFieldListFilter)]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Permissions", {"fields": ["is_active", "is_staff", "groups", "user_permissions", "is_superuser"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "usable_password", "password1", "password2"]})]

    @admin.display(description="last log-in", ordering="last_login")
    def last_seen(self, user: User) -> str:
        return moment(user.last_login)

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        return ", ".join(sorted(role.name for role in user.groups.all())) or "—"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        return _describe_field(super().formfield_for_dbfield(db_field, request, **options), db_field.name)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return () if request.user.is_superuser else _POWERS

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_delete_permission(request, obj))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        # People are added here in order to use the admin; the next form sets their permissions.
        obj.is_staff = obj.is_staff or not change
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        """Record changes of roles and permissions in an entry of their own, since they are saved after the user's
        row.
        """
        before = _rights_of(form.instance)
        super().save_related(request, form, formsets, change)
        after = _rights_of(form.instance)
        if after != before:
            audit.record(person(request), "change", form.instance, before=before, after=after)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:
            audit.record(person(request), "change password", User.objects.get(pk=id))
        return answer


@admin.register(Role)
class RoleAdmin(GroupAdmin, AuditedAdmin):  # type: ignore[misc]
    """A role's permissions, which only superusers edit. The roles that come with Synapse are kept unchanged."""

    list_display = ["name", "people"]
    filter_horizontal = ["permissions"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        return _describe_field(super().formfield_for_dbfield(db_field, request, **options), db_field.name)

    @admin.display(description="users")
    def people(self, role: Role) -> int:
        return role.user_set.count()

    # A person could otherwise add any permission to a role of their own. Viewing roles takes the usual permission.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        before = _permission_names(form.instance.permissions)
        super().save_related(request, form, formsets, change)
        after = _permission_names(form.instance.permissions)
        if after != before:
            audit.record(
                person(request), "change", form.instance, before={"permissions": before}, after={"permissions": after}
            )


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    """Say whether the person may change another user. A user with more rights is off limits: setting their password
    would give the person those rights.
    """
    if user is None or request.user.is_superuser:
        return True
    return not user.is_superuser and user.get_all_permissions() <= request.user.get_all_permissions()


def _rights_of(user: User) -> dict[str, list[str]]:
    roles = sorted(user.groups.values_list("name", flat=True))
    return {"roles": roles, "user_permissions": _permission_names(user.user_permissions)}


def _permission_names(permissions: Any) -> list[str]:
    return sorted(f"{app}.{name}" for app, name in permissions.values_list("content_type__app_label", "codename"))


@never_cache
def log_out(request: HttpRequest) -> HttpResponseBase:
    """Answer a GET of the log-out address with a confirmation, because a GET changes nothing (RFC 9110, 9.2.1).

    Django answers the POST of the form.
    """
    if request.method not in ("GET", "HEAD"):
        answer: HttpResponse = admin.site.logout(request)
        return answer
    if not request.user.is_authenticated:
        return redirect("admin:index")
    return render(request, "core/admin/log_out.html", admin.site.each_context(request))


def change_password(request: HttpRequest) -> HttpResponse:
    """Change the password with the admin's form. Guesses at the old password are limited in the same way as at
    log-in.
    """
    if request.method != "POST" or not request.user.is_authenticated:
        return _render_password_change(request)
    username = request.user.get_username()
    if not logins.take_attempt(request, username):
        return answer_locked_out(request)
    answer = _render_password_change(request)
    form = (getattr(answer, "context_data", None) or {}).get("form")
    if form is None or "old_password" not in form.errors:
        logins.give_back_attempts(request, username)
    return answer


def urls() -> list[URLPattern]:
    """Return the routes that come before the admin's own (unfold's hook)."""
    return [
        path("parts/", admin.site.admin_view(home.parts), name="home_parts"),
        path("logout/", log_out, name="logout"),
        path("password_change/", admin.site.admin_view(change_password), name="password_change"),
    ]


def _render_password_change(request: HttpRequest) -> HttpResponse:
    answer: HttpResponse = admin.site.password_change(request)
    return answer
