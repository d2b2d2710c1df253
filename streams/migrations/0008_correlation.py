"""Streams declare the properties by whose values an event is found."""

from django.db import migrations, models

import streams.models.stream


class Migration(migrations.Migration):
    dependencies = [("streams", "0007_ownership")]

    operations = [
        migrations.AddField(
            model_name="stream",
            name="correlation",
            field=models.JSONField(
                blank=True,
                default=streams.models.stream.default_correlation,
                help_text="Top-level properties by whose values an event is found, beside its trace id; without any it is found by its entry id and Idempotency-Key alone.",
                validators=[streams.models.stream.validate_correlation],
            ),
        ),
    ]
