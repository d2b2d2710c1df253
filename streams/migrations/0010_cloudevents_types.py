"""Streams name the event types of CloudEvents whose types differ from them."""

from django.db import migrations, models

import streams.models.stream


class Migration(migrations.Migration):
    dependencies = [("streams", "0009_saved_views")]

    operations = [
        migrations.AddField(
            model_name="stream",
            name="cloudevents_types",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="Event types by the “type” of CloudEvents, where these differ, such as com.example.placed: placed.",
                validators=[streams.models.stream.validate_cloudevents_types],
            ),
        ),
    ]
