# syntax=docker/dockerfile:1
# One image for every role; the command says which: `python -m services.order api`, `python -m services.inventory worker`,
# `python -m services.notification migrate`, `python -m deploy.kafka topics`, `python -m schemas serve`. It needs to write
# nowhere but below /tmp.

# The version that the locks were resolved for and the tests run on.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS packages
WORKDIR /build
COPY requirements/runtime.txt .
# Without a pip of its own: nothing can be installed into a running container. Wheels only: what is not built here
# needs no compiler here, and cannot run code while it is installed.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install \
        --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --only-binary :all: --require-hashes -r runtime.txt

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="order-management" \
      org.opencontainers.image.description="Order, inventory and notification services that choreograph an order's life over Kafka" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number instead of a name, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 oms \
    && useradd --uid 10001 --gid oms --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin oms
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY LICENSE ./
COPY schemas ./schemas
COPY deploy ./deploy
COPY services ./services
# At run time there is no place for byte code: without this each start would compile everything anew.
RUN /opt/venv/bin/python -m compileall -q schemas deploy services
# Tells one build from another; a new one lifts the consumers' breaker. Last, for it changes with each build.
ARG BUILD_ID=
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 BUILD_ID=${BUILD_ID}
USER 10001:10001
CMD ["python", "-c", "raise SystemExit('say what to run: python -m services.order api, …; see the Dockerfile')"]
