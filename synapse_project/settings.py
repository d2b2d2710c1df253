"""Django's settings, made from the environment (see `environment.py` for what can be set)."""

import contextlib
import os
import secrets
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import environ
from corsheaders.defaults import default_headers, default_methods

from core import content_security_policy, openapi
from synapse.cloudevents.attributes import DEFINED
from synapse.runtime import private_files
from synapse.shares.resources import RESOURCES
from synapse_project import VERSION, environment, installation, setting_values, sidebar

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    _env = environment.read(BASE_DIR)
    _secrets = environment.secrets()
    _of_tls = setting_values.of_tls(_env)
except (environment.BadSetting, ValueError) as error:
    sys.exit(f"synapse: {error}")

VAR_DIR = (BASE_DIR / (_env["SYNAPSE_VAR"] or "var")).resolve()
try:
    # The database holds password hashes and sessions: nobody else is to read it.
    VAR_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
except OSError as error:
    sys.exit(f"synapse: SYNAPSE_VAR: cannot make the data folder {VAR_DIR}: {error.strerror}")


# Warnings about parts that others can reach although they must not, logged when logging has begun.
PRIVATE_FILE_WARNINGS: list[str] = []


def _secret_key() -> str:
    """Return the configured key, else this installation's own: made once, readable by its owner only."""
    if _env["SECRET_KEY"]:
        return str(_env["SECRET_KEY"])
    path = VAR_DIR / "secret-key"
    if not path.exists():
        # Written beside and then linked: two processes that start at once agree on one whole key.
        with tempfile.NamedTemporaryFile("w", dir=VAR_DIR) as file:
            file.write(secrets.token_urlsafe(64))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    PRIVATE_FILE_WARNINGS.append(private_files.protect(path))
    text = path.read_text(encoding="utf-8")
    try:
        return setting_values.secret_key(text)
    except ValueError:
        sys.exit(f"synapse: {path} does not hold the key that was made there. Bring it back, or set SECRET_KEY.")


SECRET_KEY = _secret_key()
DEBUG = _env["DEBUG"]
# Health checks ask for the loopback address, regardless of the other hosts.
ALLOWED_HOSTS = [*_env["ALLOWED_HOSTS"], "localhost", "127.0.0.1", "[::1]"]

# Authentication, and the prefix of issued keys (see streams/access).
AUTH = _env["SYNAPSE_AUTH"] or _env["SYNAPSE_AUTH_DEFAULT"]
KEY_ENVIRONMENT = _env["SYNAPSE_KEY_ENVIRONMENT"]
METRICS_TOKEN = _env["SYNAPSE_METRICS_TOKEN"]
# The beginning of links that leave the admin, such as those in alerts.
PUBLIC_URL = _env["SYNAPSE_PUBLIC_URL"]

HOST = _env["HOST"]
PORT = _env["PORT"]
WORKERS = _env["SYNAPSE_WORKERS"]
ADMIN_PASSWORD = _env["SYNAPSE_ADMIN_PASSWORD"]
CATALOG_FILE = (
    None
    if _env["SYNAPSE_CATALOG"] == "none"
    else Path(_env["SYNAPSE_CATALOG"] or BASE_DIR / "catalog" / "deepiri.yaml")
)

# Events. An empty URL means the embedded server, whose address is recorded in the file.
REDIS_URL = environment.redis_url(_env)
EMBEDDED_REDIS_DIR = VAR_DIR / "redis"
REDIS_LOCATOR = "synapse_project.installation.redis_url"
REDIS_TIMEOUT = _env["SYNAPSE_REDIS_TIMEOUT"]
STREAM_MAX_LENGTH = _env["STREAM_MAX_LENGTH"]
LIVE_HEARTBEAT = _env["SYNAPSE_LIVE_HEARTBEAT"]

# Bridges: where they can deliver, and which functions they may call.
BRIDGE_SINKS = {
    "handler": "bridges.sinks.handler.HandlerSink",
    "console": "bridges.sinks.console.ConsoleSink",
    "database": "bridges.sinks.database.DatabaseSink",
    "webhook": "bridges.sinks.webhook.WebhookSink",
    "notification": "bridges.sinks.notification.NotificationSink",
    "stream": "bridges.sinks.stream.StreamSink",
    "pull": "synapse.delivery.sink.PullSink",
}
# Traces: what is sent where, and where people look at them.
TRACING = setting_values.of_tracing(_env)
TRACE_URL = _env["SYNAPSE_TRACE_URL"]
BRIDGE_HANDLERS = _env["SYNAPSE_HANDLERS"]
ARCHIVE_BYTES = _env["SYNAPSE_ARCHIVE_SIZE"] and _env["SYNAPSE_ARCHIVE_SIZE"] * 1024 * 1024
# Where webhooks may go beside the public internet, the secrets of the environment, and what encrypts the others.
WEBHOOK_ALLOW = _env["SYNAPSE_WEBHOOK_ALLOW"]
SECRETS_PREFIX = environment.SECRETS_PREFIX
BRIDGE_SECRETS = _secrets
# Names of those that this process lacks and the installation that runs here has.
SECRETS_ELSEWHERE = installation.secrets_elsewhere()
SECRETS_KEYS = _env["SYNAPSE_SECRETS_KEY"] or [SECRET_KEY]
# Commands that `up` starts and that run for long call this: they end with their `up`.
STOP_WITH_PARENT = "synapse.runtime.supervisor.stop_with_parent"

# Definitions.
if _env["DATABASE_URL"].startswith("postgres"):
    _database = environ.Env.db_url_config(_env["DATABASE_URL"])
    _database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    # A half-open connection is noticed within seconds, not when TCP gives up.
    _database.setdefault("OPTIONS", {}).update(
        connect_timeout=5, tcp_user_timeout=5000, keepalives_idle=10, keepalives_interval=5, keepalives_count=3
    )
else:
    _path = (
        environ.Env.db_url_config(_env["DATABASE_URL"])["NAME"] if _env["DATABASE_URL"] else VAR_DIR / "synapse.sqlite3"
    )
    if _path != ":memory:":
        PRIVATE_FILE_WARNINGS += private_files.protect_sqlite(Path(_path))
    _database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _path,
        # Opening the file and its log for each query takes longer than most queries.
        "CONN_MAX_AGE": None,
        # The server, the bridges and a command write side by side: readers never wait, writers queue from the start.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
    }
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    # Before the theme, whose templates it changes; the theme before the admin, for the same reason.
    "core",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "axes",
    "csp",
    "contracts",
    "streams",
    "bridges",
    "alerts",
    "synapse_project",
]

# Synchronous only: the front door runs the whole chain in one thread hop.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Around the gate, as the others that set headers: its refusals have them too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "core.content_security_policy.ContentPolicyMiddleware",
    "synapse_project.request_guard_middleware.CorsHeaders",
    "synapse_project.request_guard_middleware.guard_middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Behind the files of pages: sending one is no work to look into.
    "streams.tracing.TracingMiddleware",
    # Around the session's: a new session has its key when it has been saved.
    "synapse_project.django_threads.person_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "streams.access.require_authentication.RequireAuthentication",
    "django.contrib.messages.middleware.MessageMiddleware",
    # Last: it answers in place of what a log-in that is locked out would get.
    "axes.middleware.AxesMiddleware",
]

# Guessing passwords: after five wrong ones for a user from an address, none is tried for a quarter of an hour.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "core.logins.LoginThrottle"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Not the user alone: an anonymous caller could then lock a person out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "core.logins.address_of"
AXES_LOCKOUT_CALLABLE = "core.logins.answer_locked_out"
# Entries of log-ins that failed are kept for so long; all others for ever.
FAILED_LOGIN_DAYS = _env["SYNAPSE_FAILED_LOGIN_DAYS"]
# The audit log records log-ins and failed log-ins.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False

# Where a log-in leads that names no page.
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
CSRF_FAILURE_VIEW = "core.views.csrf_failure"

ROOT_URLCONF = "synapse_project.urls"
WSGI_APPLICATION = "synapse_project.wsgi.application"
# For pages of the admin. The API has its routes with and without a slash, and never redirects: that would lose the
# body of a POST.
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
] + [{"NAME": "core.logins.MaximumLengthValidator"}]

# Cookies do not tell ports apart (RFC 6265, 8.5), so the names of two installations on one host have to.
SESSION_COOKIE_NAME = f"sessionid{environment.cookie_suffix(_env)}"
# Installations can share this cookie: it does not identify anyone. Programs that log in know its name.
CSRF_COOKIE_NAME = f"csrftoken{_env['SYNAPSE_COOKIE_SUFFIX']}"
# A cookie of its own would be one more.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# Synapse speaks plain HTTP, on loopback or behind a proxy that ends TLS. Some settings follow from which it is.
globals().update(_of_tls)
TRUSTED_PROXIES = _env["SYNAPSE_TRUSTED_PROXIES"]
RATE_PER_ADDRESS = _env["SYNAPSE_RATE_PER_ADDRESS"]
RATE_PER_KEY = _env["SYNAPSE_RATE_PER_KEY"]
PULL_GROUP_DAYS = _env["SYNAPSE_PULL_GROUP_DAYS"]
# How much there is of each shared resource, and what one caller may have of it.
globals().update({resource.attribute: _env[resource.total_setting] for resource in RESOURCES.values()})
SHARES = _env["SYNAPSE_SHARES"]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
# Served straight from the packages: a bare checkout has no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# Of answers that say nothing else; the pages' are in core/content_security_policy.py.
CONTENT_SECURITY_POLICY = {"DIRECTIVES": content_security_policy.DATA}
CSRF_TRUSTED_ORIGINS = _env["CSRF_TRUSTED_ORIGINS"]
CORS_ALLOWED_ORIGINS = _env["CORS_ALLOWED_ORIGINS"]
CORS_ALLOW_METHODS = default_methods
CORS_PREFLIGHT_MAX_AGE = 86400
CORS_ALLOW_HEADERS = list(
    dict.fromkeys(
        (
            *default_headers,
            # The headers that routes read, and those that event sources and tracing send along (W3C Trace Context, W3C
            # Baggage, Sentry).
            *("cache-control", "idempotency-key", "last-event-id", "synapse-contract-version", "x-api-key"),
            *("content-encoding", "if-match", "if-none-match"),
            *("baggage", "sentry-trace", "traceparent", "tracestate", "x-request-id"),
            *(f"ce-{name}" for name in sorted(DEFINED - {"datacontenttype"})),
            *(name.lower() for name in _env["CORS_ALLOW_HEADERS"]),
        )
    )
)
CORS_EXPOSE_HEADERS = [
    *("allow", "content-disposition", "idempotency-replayed", "link", "retry-after", "ratelimit", "ratelimit-policy"),
    *("accept-encoding", "accept-post", "etag", "www-authenticate"),
]
# A batch is the largest body; the front door refuses more before Django reads it.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024 + 64 * 1024

UNFOLD = sidebar.UNFOLD

# The theme keeps what a person's search found for five minutes, also when they may not see it any more. Nothing else
# uses Django's cache.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["streams.access.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "core.endpoint_schema.EndpointSchema",
    "EXCEPTION_HANDLER": "core.views.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Synapse",
    "DESCRIPTION": "Publish events to Redis Streams, checked against their contracts, and inspect the streams. "
    "Bodies of requests may be sent with `Content-Encoding: gzip`.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "PREPROCESSING_HOOKS": ["core.openapi.without_trailing_slashes"],
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/"}],
    "APPEND_COMPONENTS": {
        "securitySchemes": openapi.SECURITY_SCHEMES,
        "headers": openapi.HEADERS,
    },
    "POSTPROCESSING_HOOKS": [
        "core.endpoint_schema.with_models_of_endpoints",
        "core.openapi.with_common_responses",
        "core.openapi.with_shared_components",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": ["streams.access.PrincipalAuthentication"],
    # With links to operations, its buttons would have links inside (WCAG 2.2, 4.1.2).
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

try:
    _audit_handlers, _audit_logger = setting_values.logging(_env["SYNAPSE_AUDIT_LOG"])
except OSError as error:
    sys.exit(f"synapse: SYNAPSE_AUDIT_LOG: cannot write {_env['SYNAPSE_AUDIT_LOG']}: {error.strerror}")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "synapse.runtime.log_format.TextLines"},
        "json": {"()": "synapse.runtime.log_format.JsonLines"},
        "bare": {"format": "%(message)s"},
    },
    "filters": {
        "refusals": {"()": "synapse.runtime.log_format.WithoutTraceOfRefusals"},
        "summed": {"()": "synapse.runtime.log_format.SummedRefusals"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": _env["SYNAPSE_LOG_FORMAT"], "filters": ["summed"]},
        **_audit_handlers,
    },
    # An unknown host is answered with a problem document; its traceback is useless.
    "loggers": {
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.request": {"filters": ["refusals"]},
        "uvicorn": {"level": "WARNING"},
        # Each try to send something, while a collector is away: what was not sent is told once a minute.
        "opentelemetry": {"level": "CRITICAL"},
        # The audit log has it, without quoting anonymous callers.
        "axes": {"level": "ERROR"},
        "synapse.audit": _audit_logger,
    },
    "root": {"handlers": ["stderr"], "level": _env["SYNAPSE_LOG_LEVEL"]},
}
