"""Saved views of the explorer in the admin: the form that saves one, and the list of a person's own and shared ones."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from core import audit, catalog_version
from core.admin.base import AuditedAdmin, person
from core.templatetags.synapse import visible
from streams.admin.events.explorer_state import HIDDEN, ExplorerState
from streams.models import SavedView
from synapse.auth.permission import VIEW_PAYLOAD
from synapse.problems import Problem

# The number of views that the explorer's page offers; the list has all.
MOST_OFFERED = 30
_VIEW, _ADD = "streams.view_savedview", "streams.add_savedview"


def address_of(query: str) -> str:
    """Return the explorer's address with a query."""
    return f"{reverse('admin:streams_stream_explorer')}{f'?{query}' if query else ''}"


def visible_to(user: Any) -> QuerySet[SavedView]:
    """Return the saved views that a person may see: their own, and with payload access the shared ones. A view holds
    the texts to search for, which may come from an event.
    """
    found = Q(owner=user) | Q(shared=True) if user.has_perm(VIEW_PAYLOAD) else Q(owner=user)
    return SavedView.objects.filter(found).select_related("owner")


class SavedViewForm(forms.ModelForm):
    """The form of a saved view: its name, and whether it is shared.

    Names are unique for each person. A view replaces an older one of the same name only when “Replace” is ticked.
    """

    replace = forms.BooleanField(required=False, label="Replace", help_text="Replace the view of this name.")
    # Set by the admin.
    user: Any = None
    replaced: SavedView | None = None

    class Meta:
        model = SavedView
        fields = ["name", "shared", "query"]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if "replace" in self.fields and not (self.is_bound and self._find_same_name(self.data.get("name", "").strip())):
            # No view with this name exists, so there is nothing to replace.
            self.fields["replace"].widget = forms.HiddenInput()

    def clean_query(self) -> str:
        try:
            state = ExplorerState.from_query(self.cleaned_data["query"]).with_changes(next="")
            state.check_parameters()
        except ValueError as error:
            raise ValidationError(f"This is no address of the explorer: {error}.") from None
        except Problem as problem:
            raise ValidationError(problem.detail) from None
        # The canonical query, as the explorer writes it.
        return state.query

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        name = values.get("name", "")
        if own := self._find_same_name(name):
            if values.get("replace") and self.instance.pk is None:
                self.replaced = own
                # So that the model's constraints treat the replaced row as this one.
                self.instance.pk, self.instance._state.adding = own.pk, False
            else:
                way_out = "Choose another name." if self.instance.pk else "Tick “Replace”, or choose another name."
                self.add_error("name", f"There is a view “{name}” already. {way_out}")
        keeper = self.replaced or self.instance
        others = SavedView.objects.filter(name=name, shared=True).exclude(pk=keeper.pk).select_related("owner").first()
        if values.get("shared") and others is not None and "name" not in self.errors:
            self.add_error("name", f"{others.owner} shares a view “{name}” already. Choose another name.")
        return values

    def _find_same_name(self, name: str) -> SavedView | None:
        owner = self.instance.owner if self.instance.pk else self.user
        return SavedView.objects.filter(owner=owner, name=name).exclude(pk=self.instance.pk).first()


@admin.register(SavedView)
class SavedViewAdmin(AuditedAdmin):
    form = SavedViewForm
    list_display = ["name_cell", "search", "owner", "is_shared"]
    search_fields = ["name"]
    fields = ("name", "shared", "query", "replace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedView]:
        return visible_to(request.user)

    def has_change_permission(self, request: HttpRequest, obj: SavedView | None = None) -> bool:
        return _is_own(request, obj) or bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: SavedView | None = None) -> bool:
        return _is_own(request, obj) or bool(super().has_delete_permission(request, obj))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if request.method == "POST" and transaction.get_connection().in_atomic_block:
            # The lock keeps others from saving a view under the name between its check and its save.
            catalog_version.hold()
        form = super().get_form(request, obj, change=change, **options)
        form.user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # “Replace” is only for new views.
        return self.fields if obj is None else self.fields[:-1]

    def save_model(self, request: HttpRequest, obj: SavedView, form: Any, change: bool) -> None:
        if form.replaced is not None:
            change = True
        if obj.owner_id is None:
            obj.owner = request.user
        was = SavedView.objects.filter(pk=obj.pk).first()
        super().save_model(request, obj, form, change)
        if was is not None and was.query != obj.query and self.described(was) == (after := self.described(obj)):
            # A change of only the searched texts would not show in these values.
            audit.record(person(request), "change", obj, before=after, after={**(after or {}), "texts": "changed"})

    def described(self, row: Model | None) -> dict[str, Any] | None:
        """Return a view for the audit log, which more people read: without the texts that it searches for."""
        if (values := super().described(row)) is None:
            return None
        try:
            shown = ExplorerState.from_query(values["query"]).without_texts().query
        except ValueError:
            shown = HIDDEN
        return {**values, "query": shown}

    def response_add(self, request: HttpRequest, obj: SavedView, post_url_continue: str | None = None) -> HttpResponse:
        return self._redirect_to_explorer(request, obj)

    def response_change(self, request: HttpRequest, obj: SavedView) -> HttpResponse:
        return self._redirect_to_explorer(request, obj)

    def _redirect_to_explorer(self, request: HttpRequest, obj: SavedView) -> HttpResponse:
        self.message_user(request, f"The view “{visible(obj.name)}” is saved.", messages.SUCCESS)
        return redirect(address_of(obj.query))

    @admin.display(description="view", ordering="name")
    def name_cell(self, view: SavedView) -> str:
        return view.name

    @admin.display(description="search")
    def search(self, view: SavedView) -> str:
        return format_html(
            '<a class="s-link s-mono s-hostile" href="{}">{}</a>',
            address_of(view.query),
            describe_search(view.query),
        )

    @admin.display(description="shared", boolean=True, ordering="shared")
    def is_shared(self, view: SavedView) -> bool:
        return view.shared


def _is_own(request: HttpRequest, view: SavedView | None) -> bool:
    return view is not None and view.owner_id == request.user.pk


def describe_search(query: str) -> str:
    """Return a view's search as one line of text."""
    state = ExplorerState.from_query(query)
    parts = [
        ", ".join(state.streams) or "all streams",
        state.event_type,
        f"“{state.q}”" if state.q else "",
        state.filter,
        f"last {state.range}" if state.range else "",
    ]
    return visible(" · ".join(part for part in parts if part))


def offer_views(request: HttpRequest, query: str) -> Mapping[str, Any]:
    """Return the saved views for the explorer's page, and which one is open."""
    may_view = request.user.has_perm(_VIEW)
    views = list(visible_to(request.user)[: MOST_OFFERED + 1]) if may_view else []
    return {
        "may_save": request.user.has_perm(_ADD),
        "own": [view for view in views[:MOST_OFFERED] if view.owner_id == request.user.pk],
        "shared": [view for view in views[:MOST_OFFERED] if view.owner_id != request.user.pk],
        "more": len(views) > MOST_OFFERED,
        "active": next((view for view in views if view.query == query), None),
    }
