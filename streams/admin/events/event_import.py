"""The page of a stream that imports lines of JSON: it checks them first, and stores them after the person saw the
result.
"""

import hashlib
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from core import audit
from core.admin.base import person
from streams import connections
from streams.admin import tabs
from streams.models import Stream
from streams.snapshot import holder
from synapse.formats import exact_json
from synapse.http import exchange
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.publishing import imports
from synapse.publishing.body import NDJSON


class ImportForm(forms.Form):
    """A file, and the digest of the file whose check the person has seen."""

    file = forms.FileField(allow_empty_file=True, error_messages={"required": "Choose a file."})
    checked = forms.CharField(required=False)


def import_events(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form; a POST checks the lines of a file, or stores those of a file that was checked."""
    stream = admin.get_row_or_404(request, pk)
    if not person(request).rights.may("publish", stream.name):
        raise PermissionDenied
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    values: dict[str, Any] = {}
    if form.is_bound and form.is_valid():
        text = form.cleaned_data["file"].read()
        digest = hashlib.sha256(text).hexdigest()
        is_other = "store" in request.POST and form.cleaned_data["checked"] != digest
        dry_run = "store" not in request.POST or is_other
        values = {
            "report": _run_import(request, stream, text, dry_run=dry_run),
            "checked": digest,
            "is_other": is_other,
        }
    page: HttpResponse = admin.show(
        request,
        "streams/admin/import.html",
        title=f"Import into {stream.name}",
        row=stream,
        tabs=tabs.of_stream(request, stream, "Messages"),
        form=form,
        **values,
    )
    return page


def _run_import(request: HttpRequest, stream: Stream, text: bytes, *, dry_run: bool) -> dict[str, Any]:
    """Import or check the lines of a file. Return the report, or a dict with the error text as `problem`.

    An import that may store events leaves two audit entries: when it begins, and with its result.
    """
    asked = exchange.Request(
        method="POST",
        path=f"/streams/{stream.name}/import",
        params={"stream": stream.name},
        headers={"content-type": NDJSON},
        body=text,
        principal=person(request),
    )
    by, target = person(request), f"stream {stream.name}"
    if not dry_run:
        audit.record(by, "begin import", target, after={"bytes": len(text)})
    catalog = holder.current()
    executor = connections.executor_for(catalog.streams.get(stream.name))
    try:
        answer = executor.run(imports.import_events(asked, catalog, connections.counters, dry_run=dry_run))
    except FAILURES as failure:
        detail = problem_of(failure).detail
        if not dry_run:
            audit.record(by, "fail to import", target, after={"detail": detail})
        return {"problem": detail}
    report: dict[str, Any] = exact_json.loads(answer.whole_body)
    if not dry_run:
        counts = {name: report[name] for name in ("lines", "accepted", "repeated", "rejected", "aborted")}
        stored = report["accepted"] - report["repeated"]
        audit.record(by, "import", target, after={"count": stored, **counts})
    return report
