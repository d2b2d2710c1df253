from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("bridges", "0005_opened_group"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="archivedevent",
            name="archive_by_bridge",
        ),
    ]
