"""Base classes of admin pages, which limit the filters of lists and record changes of definitions."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.filters import SimpleListFilter
from django.contrib.admin.utils import NestedObjects, get_fields_from_path
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models import Model, QuerySet
from django.forms import BaseInlineFormSet, ModelForm
from django.forms.models import _get_foreign_key
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin, TabularInline  # type: ignore[import-untyped]
from unfold.widgets import UnfoldAdminExpandableTextareaWidget  # type: ignore[import-untyped]

from core import audit, catalog_version
from core.admin.revisions import RevisedModelForm
from core.models import CatalogModel
from synapse.auth.permission import VIEW_PERSONAL, person_of
from synapse.auth.principal import Principal
from synapse.catalog.fields import ADVANCED, Field
from synapse.catalog.ownership import OWNERSHIP


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of our own besides Django's. `path` is relative to the address of the list, as in `<int:pk>/messages/`.

    `view` is called with the admin of the model, the request and the values in the path, and checks the permission
    itself. The page's URL is named `admin:APP_MODEL_NAME`. `is_document`: the page has an entity tag, and browsers may
    cache it if they revalidate it each time.
    """

    path: str
    name: str
    view: Callable[..., Any]
    is_document: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab in a row of related pages."""

    title: str
    url: str
    active: bool = False


# When several rows are deleted together, the warnings of at most this many are shown.
_MOST_WARNED = 100


def person(request: HttpRequest) -> Principal:
    """Return the principal of the person logged in to the admin, with the rights that their permissions give."""
    return person_of(request.user, address=request.META.get("REMOTE_ADDR", ""))


class RestrictedAdmin(ModelAdmin):  # type: ignore[misc]
    """Base of every registered admin: a list is filtered and searched only by what its admin declares.

    `pages` are further pages, such as those of one definition. `pii_columns` may hold values that a contract marks as
    PII: only people who may see PII can search them. No column of a list may sort by them, because the order of rows
    reveals values, too.
    """

    pages: ClassVar[Sequence[Page]] = ()
    pii_columns: ClassVar[Collection[str]] = ()

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                page.path,
                self.admin_site.admin_view(partial(self._answer_page, page), cacheable=page.is_document),
                name=self.page_name(page.name),
            )
            for page in self.pages
        ]
        return [*own, *super().get_urls()]

    def _answer_page(self, page: Page, request: HttpRequest, **named: Any) -> HttpResponse:
        """Answer with one of our pages. When its row does not exist, redirect to the list with a message, as Django
        does.
        """
        try:
            answer: HttpResponse = page.view(self, request, **named)
        except Http404:
            self.message_user(request, "This page does not exist, or not any more.", messages.WARNING)
            return redirect(self.page_url("changelist"))
        return answer

    def page_name(self, name: str) -> str:
        """Return the URL name of one of our pages, without the site's namespace."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    def page_url(self, name: str, *arguments: Any) -> str:
        """Return the URL of one of our pages, or of Django's own: changelist, add, change, delete."""
        return reverse(f"admin:{self.page_name(name)}", args=arguments)

    def get_row_or_404(self, request: HttpRequest, pk: int, *, to: str = "view") -> Any:
        """Return the row of a page.

        Raises:
            Http404: when there is none.
            PermissionDenied: when the person may not `view`, `change` or `delete` it.
        """
        row = self.get_queryset(request).filter(pk=pk).first()
        # Checked even when the row does not exist: without the permission, a person cannot find out which rows exist.
        if not getattr(self, f"has_{to}_permission")(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        return row

    def show(
        self, request: HttpRequest, template: str, *, title: str, row: Model | None = None, **context: Any
    ) -> TemplateResponse:
        """Render one of our pages in the common frame."""
        request.current_app = self.admin_site.name  # Django's templates read the site's name here.
        frame = self.admin_site.each_context(request)
        about = {"title": title, "opts": self.opts, "original": row, "media": self.media}
        return TemplateResponse(request, template, {**frame, **about, **context})

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow only the parameters of `list_filter`. Django allows every lookup of the model's own columns, which
        would reveal hidden values letter by letter.
        """
        list_filter = self.list_filter if request is None else self.get_list_filter(request)
        return any(lookup in _parameters_of(self.model, each) for each in list_filter)

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        fields: Sequence[str] = super().get_search_fields(request)
        if request.user.has_perm(VIEW_PERSONAL):
            return fields
        return [name for name in fields if name.lstrip("^=@").partition("__")[0] not in self.pii_columns]


@cache
def _parameters_of(model: type[Model], list_filter: Any) -> frozenset[str]:
    """Return the query parameters in the links of a filter."""
    if isinstance(list_filter, type) and issubclass(list_filter, SimpleListFilter):
        return frozenset((list_filter.parameter_name or "",))
    path = list_filter[0] if isinstance(list_filter, tuple) else list_filter
    field: Any = get_fields_from_path(model, path)[-1]
    if field.is_relation:
        return frozenset((f"{path}__{field.target_field.name}__exact", f"{path}__isnull"))
    if isinstance(field, models.DateField):
        return frozenset((f"{path}__gte", f"{path}__lt"))
    has_choices = field.choices or isinstance(field, models.BooleanField)
    return frozenset((f"{path}__exact" if has_choices else path, f"{path}__isnull"))


class AuditedInline(TabularInline):  # type: ignore[misc]
    """Rows of another definition on a definition's page. Changes of these rows are recorded in the audit log too."""

    extra = 0


class AuditedAdmin(RestrictedAdmin):
    """Records each save and delete in the audit log, with the row's values before and after.

    `secret_columns` are never written into the audit log.
    """

    change_form_before_template = "core/admin/revision.html"
    delete_confirmation_template = "core/admin/deletion.html"
    secret_columns: ClassVar[Collection[str]] = ()
    list_per_page = 25
    list_filter_submit = False
    compressed_fields = True
    # Grows with the text in it.
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminExpandableTextareaWidget}}

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Redirect to the audit log of this definition, in place of Django's own log."""
        row = self.get_object(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            return redirect(self.page_url("changelist"))
        return redirect(f"{reverse('admin:core_auditentry_changelist')}?{urlencode({'target': audit.name_of(row)})}")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # A form writes all fields that it read, so no other request may write between reading and saving.
        if request.method == "POST" and transaction.get_connection().in_atomic_block:
            catalog_version.hold()
        return super().get_object(request, object_id, from_field)

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change=change, **options)
        if obj is None or not change:
            return form
        about = {
            "rows": staticmethod(partial(self._rows_beside, request, obj)),
            "secret_columns": self.secret_columns,
            "reader": str(person(request)),
        }
        return type(form)(form.__name__, (RevisedModelForm, form), about)

    def _rows_beside(self, request: HttpRequest, obj: Model) -> list[Model]:
        """Return the rows that the person edits on the definition's page."""
        found: list[Model] = []
        for inline in self.get_inline_instances(request, obj):
            if inline.has_change_permission(request, obj) and set(inline.fields or ()) - set(inline.readonly_fields):
                key = _get_foreign_key(type(obj), inline.model, fk_name=inline.fk_name)
                found += inline.get_queryset(request).filter(**{key.name: obj})
        return found

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        form = context["adminform"].form
        if isinstance(form, RevisedModelForm):
            context |= {"revision": form.revision()}
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    def described(self, row: Model | None) -> dict[str, Any] | None:
        """Return a row as the audit log shows it."""
        if row is None:
            return None
        values = audit.describe(row)
        return values | {name: "(secret)" for name in self.secret_columns if values.get(name)}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = self.described(_load_stored(obj)) if change else None
        super().save_model(request, obj, form, change)
        self._record(request, obj, before=before, after=self.described(obj))

    def deletion_warnings(self, row: Model) -> list[str]:
        """Return sentences that warn of the consequences of deleting a row."""
        return []

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        said = self.deletion_warnings(context["object"])
        shown: HttpResponse = super().render_delete_form(request, {**context, "said": said})
        return shown

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        response: HttpResponse | None = super().response_action(request, queryset)
        context = getattr(response, "context_data", None) or {}
        if "deletable_objects" in context:
            rows = context["queryset"]
            said = [sentence for row in rows[:_MOST_WARNED] for sentence in self.deletion_warnings(row)]
            if said and (further := rows.count() - _MOST_WARNED) > 0:
                said.append(f"Of {further} more it was not asked.")
            context["said"] = list(dict.fromkeys(said))
        return response

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        for row in _definitions_deleted_with(obj):
            audit.record(person(request), "delete", row, before=self._describe_other_row(row), after=None)
        self._record(request, obj, before=self.described(obj), after=None)
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def save_formset(self, request: HttpRequest, form: ModelForm, formset: BaseInlineFormSet, change: bool) -> None:
        rows = [inline.instance for inline in formset.initial_forms]
        before = {row.pk: (str(row), self.described(_load_stored(row))) for row in rows}
        pks = {id(row): row.pk for row in rows}
        super().save_formset(request, form, formset, change)
        for row in formset.new_objects:
            self._record(request, row, before=None, after=self.described(row))
        for row, _ in formset.changed_objects:
            self._record(request, row, before=before[row.pk][1], after=self.described(row))
        for name, values in (before[pks[id(row)]] for row in formset.deleted_objects):
            target = f"{formset.get_queryset().model._meta.verbose_name} {name}"
            audit.record(person(request), "delete", target, before=values)

    def _describe_other_row(self, row: Model) -> dict[str, Any] | None:
        """Return a row of another model as the audit log shows it. The admin of that model knows which columns are
        secret.
        """
        if not self.admin_site.is_registered(type(row)):
            return audit.describe(row)
        owner = self.admin_site.get_model_admin(type(row))
        return owner.described(row) if isinstance(owner, AuditedAdmin) else audit.describe(row)

    def _record(
        self,
        request: HttpRequest,
        row: Model,
        *,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None:
        """Record the changes of a row, if there are any."""
        if before == after:
            return
        action = "create" if before is None else "delete" if after is None else "change"
        audit.record(person(request), action, row, before=before, after=after)


def _definitions_deleted_with(row: Model) -> Iterator[Model]:
    """Yield the definitions that a cascade deletes with this one, such as the event types of a stream."""
    collector = NestedObjects(using=DEFAULT_DB_ALIAS)
    collector.collect([row])
    for model, rows in collector.data.items():
        if issubclass(model, CatalogModel):
            yield from (each for each in sorted(rows, key=str) if each != row)


def _load_stored(row: Model) -> Model | None:
    return type(row)._default_manager.filter(pk=row.pk).first()


def fieldsets(
    fields: Iterable[Field], first: Mapping[str | None, Sequence[str]]
) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the admin's fieldsets as pairs of a heading (None: no heading) and options. The sections for ownership and
    advanced settings come last and are collapsed.

    Args:
        fields: the settings, in order; each is placed under the heading of its section.
        first: the columns that are not settings, by heading. These headings come first, in this order.
    """
    sections: dict[str | None, list[str]] = {title: list(names) for title, names in first.items()}
    for field in fields:
        sections.setdefault(field.section or None, []).append(field.name)
    collapsed = [title for title in (OWNERSHIP, ADVANCED) if title in sections]
    for title in collapsed:
        sections[title] = sections.pop(title)
    return [
        (title, {"fields": names, "classes": ["collapse"] if title in collapsed else []})
        for title, names in sections.items()
    ]


# Rendering a link for each of a thousand objects takes longer than the rest of the page. The search finds the others.
MOST_CHOICES = 100


class RelatedFilter(admin.RelatedFieldListFilter):
    """Offers the first `MOST_CHOICES` related objects, and the chosen one."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        """Return the keys and labels of the related objects."""
        objects = field.related_model._default_manager.all()
        found = {one.pk: str(one) for one in objects[:MOST_CHOICES]}
        chosen = [
            text for text in self.lookup_val or () if text.isdecimal() and text.isascii() and int(text) not in found
        ]
        return [*found.items(), *((one.pk, str(one)) for one in objects.filter(pk__in=chosen))]
