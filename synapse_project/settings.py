"""Django's settings, derived from the environment (`environment.py` lists the variables)."""

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
    _env = environment.read_settings(BASE_DIR)
    _secrets = environment.read_secrets()
    _of_tls = setting_values.tls_settings(_env)
except (environment.BadSetting, ValueError) as error:
    sys.exit(f"synapse: {error}")

VAR_DIR = (BASE_DIR / (_env["SYNAPSE_VAR"] or "var")).resolve()
try:
    # The database holds password hashes and sessions, so no other user may read it.
    VAR_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
except OSError as error:
    sys.exit(f"synapse: SYNAPSE_VAR: cannot make the data folder {VAR_DIR}: {error.strerror}")


# Warnings about folders that other users can read, logged after logging is configured.
PRIVATE_FILE_WARNINGS: list[str] = []


def _secret_key() -> str:
    """Return the configured key, otherwise this installation's own, which is generated once and readable only by its
    owner.
    """
    if _env["SECRET_KEY"]:
        return str(_env["SECRET_KEY"])
    path = VAR_DIR / "secret-key"
    if not path.exists():
        # Written to a temporary file and then linked, so that two processes that start at once use the same complete
        # key.
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
# Health checks use the loopback address, so it is always allowed.
ALLOWED_HOSTS = [*_env["ALLOWED_HOSTS"], "localhost", "127.0.0.1", "[::1]"]

# Authentication, and the prefix of issued keys (streams/access).
AUTH = _env["SYNAPSE_AUTH"] or _env["SYNAPSE_AUTH_DEFAULT"]
KEY_ENVIRONMENT = _env["SYNAPSE_KEY_ENVIRONMENT"]
METRICS_TOKEN = _env["SYNAPSE_METRICS_TOKEN"]
# The prefix of links outside the admin, such as those in alerts.
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

# Bridges: the allowed targets and functions.
BRIDGE_SINKS = {
    "handler": "bridges.sinks.handler.HandlerSink",
    "console": "bridges.sinks.console.ConsoleSink",
    "database": "bridges.sinks.database.DatabaseSink",
    "webhook": "bridges.sinks.webhook.WebhookSink",
    "notification": "bridges.sinks.notification.NotificationSink",
    "stream": "bridges.sinks.stream.StreamSink",
    "pull": "synapse.delivery.sink.PullSink",
}
# Traces: their export, and the viewer.
TRACING = setting_values.tracing_settings(_env)
TRACE_URL = _env["SYNAPSE_TRACE_URL"]
BRIDGE_HANDLERS = _env["SYNAPSE_HANDLERS"]
ARCHIVE_BYTES = _env["SYNAPSE_ARCHIVE_SIZE"] and _env["SYNAPSE_ARCHIVE_SIZE"] * 1024 * 1024
# Networks that webhooks may reach besides the public internet, secrets in the environment, and the passphrases that
# encrypt stored secrets.
WEBHOOK_ALLOW = _env["SYNAPSE_WEBHOOK_ALLOW"]
SECRETS_PREFIX = environment.SECRETS_PREFIX
BRIDGE_SECRETS = _secrets
# Names of secrets that the running installation has and this process lacks.
SECRETS_ELSEWHERE = installation.secrets_elsewhere()
SECRETS_KEYS = _env["SYNAPSE_SECRETS_KEY"] or [SECRET_KEY]
# Long-running commands that `up` starts call this, so that they end with their `up`.
STOP_WITH_PARENT = "synapse.runtime.supervisor.stop_with_parent"

# Definitions.
if _env["DATABASE_URL"].startswith("postgres"):
    _database = environ.Env.db_url_config(_env["DATABASE_URL"])
    _database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    # TCP keepalive: a half-open connection is detected within seconds.
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
        # Persistent connections, because opening the file and its log takes longer than most queries.
        "CONN_MAX_AGE": None,
        # For concurrent writes by the server, the bridges and commands: readers never wait (WAL), and writers queue at
        # the start of their transaction (IMMEDIATE).
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
    }
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    # Before the theme, because it overrides its templates. The theme comes before the admin for the same reason.
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

# All middleware is synchronous, so that the front door runs the whole chain with one thread hop.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Outside the request guard, like other middleware that sets headers, so that refusals have them, too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "core.content_security_policy.ContentPolicyMiddleware",
    "synapse_project.request_guard_middleware.CorsHeaders",
    "synapse_project.request_guard_middleware.guard_middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # After static files, which need no trace.
    "streams.tracing.TracingMiddleware",
    # Outside the session middleware, because a new session has no key before it is saved.
    "synapse_project.django_threads.person_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "streams.access.require_authentication.RequireAuthentication",
    "django.contrib.messages.middleware.MessageMiddleware",
    # Last, because it replaces the response to a log-in that is locked out.
    "axes.middleware.AxesMiddleware",
]

# Password guesses: after five wrong ones for a user from an address, no password is checked for a quarter of an hour.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "core.logins.LoginThrottle"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Not by user alone, because any anonymous caller could then lock out a person.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "core.logins.address_of"
AXES_LOCKOUT_CALLABLE = "core.logins.answer_locked_out"
# Audit entries of failed log-ins are kept for this many days, all others for ever.
FAILED_LOGIN_DAYS = _env["SYNAPSE_FAILED_LOGIN_DAYS"]
# The audit log records log-ins and failed log-ins.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False

# The page after a log-in that names no other.
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
CSRF_FAILURE_VIEW = "core.views.csrf_failure"

ROOT_URLCONF = "synapse_project.urls"
WSGI_APPLICATION = "synapse_project.wsgi.application"
# For pages of the admin. The API's routes have an optional slash and never redirect, because a redirect would lose the
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

# Cookies ignore ports (RFC 6265, 8.5), so two installations on one host need different names.
SESSION_COOKIE_NAME = f"sessionid{environment.cookie_suffix(_env)}"
# Installations can share this cookie, because it identifies nobody. Programs that log in rely on its name.
CSRF_COOKIE_NAME = f"csrftoken{_env['SYNAPSE_COOKIE_SUFFIX']}"
# In the session, which avoids another cookie.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# Synapse serves plain HTTP, on loopback or behind a proxy that terminates TLS. Some settings depend on which.
globals().update(_of_tls)
TRUSTED_PROXIES = _env["SYNAPSE_TRUSTED_PROXIES"]
RATE_PER_ADDRESS = _env["SYNAPSE_RATE_PER_ADDRESS"]
RATE_PER_KEY = _env["SYNAPSE_RATE_PER_KEY"]
PULL_GROUP_DAYS = _env["SYNAPSE_PULL_GROUP_DAYS"]
# The total of each shared resource, and the share of one caller.
globals().update({resource.attribute: _env[resource.total_setting] for resource in RESOURCES.values()})
SHARES = _env["SYNAPSE_SHARES"]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
# Static files are served directly from the packages, without collectstatic.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# For responses that set no other policy. The policies of pages are in core/content_security_policy.py.
CONTENT_SECURITY_POLICY = {"DIRECTIVES": content_security_policy.DATA}
CSRF_TRUSTED_ORIGINS = _env["CSRF_TRUSTED_ORIGINS"]
CORS_ALLOWED_ORIGINS = _env["CORS_ALLOWED_ORIGINS"]
CORS_ALLOW_METHODS = default_methods
CORS_PREFLIGHT_MAX_AGE = 86400
CORS_ALLOW_HEADERS = list(
    dict.fromkeys(
        (
            *default_headers,
            # The headers that routes read, and those that event sources and tracing add (W3C Trace Context, W3C
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
# A batch is the largest body. The front door refuses larger ones before Django reads them.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024 + 64 * 1024

UNFOLD = sidebar.UNFOLD

# The theme would cache a person's search results for five minutes, even if they lose the permission. Nothing else uses
# Django's cache.
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
    # Deep links would put links into buttons (WCAG 2.2, 4.1.2).
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

try:
    _audit_handlers, _audit_logger = setting_values.audit_logging(_env["SYNAPSE_AUDIT_LOG"])
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
    # An unknown host gets a problem document. Its traceback would only fill the log.
    "loggers": {
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.request": {"filters": ["refusals"]},
        "django.security.DisallowedModelAdminLookup": {"filters": ["refusals"]},
        "django.security.DisallowedModelAdminToField": {"filters": ["refusals"]},
        "uvicorn": {"level": "WARNING"},
        # The library logs each failed attempt to export. Synapse reports unsent telemetry once a minute.
        "opentelemetry": {"level": "CRITICAL"},
        # The audit log has these events, without the texts of anonymous callers.
        "axes": {"level": "ERROR"},
        "synapse.audit": _audit_logger,
    },
    "root": {"handlers": ["stderr"], "level": _env["SYNAPSE_LOG_LEVEL"]},
}
