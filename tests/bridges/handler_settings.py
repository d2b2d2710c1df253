"""Settings of handlers' processes in tests whose handlers ask no database: Django loads no apps."""

SECRET_KEY = "of nothing"
INSTALLED_APPS: list[str] = []
