from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('bridges', '0003_secret'),
    ]

    operations = [
        migrations.AddField(
            model_name='bridge',
            name='opened_by',
            field=models.CharField(blank=True, editable=False, max_length=100),
        ),
    ]
