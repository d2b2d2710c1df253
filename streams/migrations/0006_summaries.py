"""Streams declare the summaries of their archived events. Those of the platform had theirs without a declaration."""

from django.db import migrations, models

import streams.models.stream

PLATFORM = {
    "inference-events": {
        "title": "Inferences",
        "completed": ["inference-complete"],
        "failed": ["inference-error"],
        "by": "model_name",
        "measure": "latency_ms",
        "unit": "ms",
    },
    "training-events": {
        "title": "Trainings",
        "completed": ["training-complete"],
        "failed": ["training-failed"],
        "by": "model_name",
        "measure": "duration_seconds",
        "unit": "s",
    },
}


def declare(apps, schema_editor):
    for name, summary in PLATFORM.items():
        types = [*summary["completed"], *summary["failed"]]
        stream = apps.get_model("streams", "Stream").objects.filter(name=name).first()
        if stream is not None and stream.event_types.filter(name__in=types).count() == len(types):
            stream.summaries = [summary]
            stream.save()


class Migration(migrations.Migration):
    dependencies = [("streams", "0005_key_issuer")]

    operations = [
        migrations.AddField(
            model_name="stream",
            name="summaries",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="The summaries of its archived events in the admin: how often work completed and failed, and a measure of it.",
                validators=[streams.models.stream.validate_summaries],
            ),
        ),
        migrations.RunPython(declare, migrations.RunPython.noop),
    ]
