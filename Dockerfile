# The worker, and nothing else: no tests, no local stack, no package manager's leavings.
#   docker build -t fanvue-sync-engine .
#   docker run --rm --env-file .env --read-only --tmpfs /tmp fanvue-sync-engine doctor
FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1 AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
# The installer itself, by the hashes of the lock.
RUN awk '/^uv==/ { found = 1 } found { print } found && !/\\$/ { exit }' requirements.lock > /tmp/uv.lock \
 && pip install --no-deps --only-binary :all: --require-hashes -r /tmp/uv.lock
COPY worker worker
# The lock pins every version, and uv checks its hashes; what the worker does not need of it is left out.
RUN python -m venv --without-pip /opt/fanvue-sync \
 && uv pip install --python /opt/fanvue-sync/bin/python --no-cache --compile-bytecode \
      --constraints requirements.lock --build-constraints requirements.lock .

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin worker
COPY --from=build /opt/fanvue-sync /opt/fanvue-sync
# Bytecode is in the image already: nothing is written at run time, so the file system may be read-only.
ENV PATH=/opt/fanvue-sync/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WORKER_METRICS_HOST=0.0.0.0 \
    WORKER_METRICS_PORT=9464
WORKDIR /tmp
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
# Alive means that the loop turns; whether the database answers is /readyz, and no reason to restart.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['WORKER_METRICS_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["fanvue-sync"]
CMD ["run"]
