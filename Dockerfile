# The server, small and without privileges: over stdio with `docker run -i`, or over HTTP as in deploy/compose.yaml.
# The base image is named by tag; deploy/.env.example says how to pin a digest.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir "uv>=0.11,<1"
WORKDIR /build
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --extra postgres --no-install-project
COPY src src
RUN uv sync --locked --no-dev --extra postgres --no-editable

FROM ${PYTHON_IMAGE}
COPY --from=build /build/.venv /build/.venv
# State that is not in PostgreSQL must outlive the container.
RUN mkdir -m 0700 /data && chown 10001:10001 /data
ENV PATH=/build/.venv/bin:$PATH ELKS_STATE_DIR=/data
VOLUME /data
USER 10001:10001
EXPOSE 8046
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8046/healthz', timeout=4)"]
ENTRYPOINT ["elks-mcp"]
CMD ["serve", "--http", "--host", "0.0.0.0"]
