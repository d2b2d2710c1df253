# Synapse in one image: web server, migrations and catalog, and a Valkey of its own unless REDIS_URL or REDIS_HOST
# names another. Data lies in the volume /var/lib/synapse.
#
#   docker build -t synapse .
#   docker run --init --stop-timeout 40 -p 127.0.0.1:8002:8002 -v synapse-data:/var/lib/synapse synapse
#
# compose.yaml runs it beside a Redis and a PostgreSQL.

FROM python:3.11-slim-bookworm AS packages

COPY requirements.txt /tmp/requirements.txt
# Wheels only: the image has no compiler, and nothing that a package brings may run while it is built.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
       -r /tmp/requirements.txt


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="Synapse" \
      org.opencontainers.image.description="Control plane for events on Redis Streams" \
      org.opencontainers.image.licenses="MIT"

# A number, so that Kubernetes can see that it is not root.
RUN groupadd --gid 10001 synapse \
    && useradd --uid 10001 --gid synapse --no-create-home --home-dir /var/lib/synapse --shell /usr/sbin/nologin synapse \
    && install --directory --owner=synapse --group=synapse --mode=0700 /var/lib/synapse

COPY --from=packages /opt/venv /opt/venv

WORKDIR /opt/synapse
COPY LICENSE manage.py ./
COPY synapse synapse
COPY core core
COPY contracts contracts
COPY streams streams
COPY bridges bridges
COPY alerts alerts
COPY synapse_project synapse_project
COPY chaos chaos
COPY catalog catalog
RUN python -m compileall -q .

# `python` on PATH is the one with the packages: the platform's health checks call it by that name.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8002 \
    SYNAPSE_VAR=/var/lib/synapse

USER 10001:10001
VOLUME /var/lib/synapse
EXPOSE 8002

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health', timeout=2)"]

# The exec form: signals reach `up` itself, which stops everything it started.
CMD ["python", "manage.py", "up"]
