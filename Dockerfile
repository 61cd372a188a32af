# Images from one file: `predictor` serves the model, `pipeline` trains and registers it, `registry` is the MLflow
# server that knows its versions on a cluster, and `store` is an S3 store for compose.yaml.
# A release names the base by digest: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG GO_IMAGE=golang:1.26-bookworm

# What installs stays behind in these stages: a folder of packages is copied out. A lock names every package, so pip
# resolves nothing (--no-deps); it would not take a pinned package for the same one with an extra.
FROM ${PYTHON_IMAGE} AS install
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/build.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes --no-deps -r /requirements/build.txt
WORKDIR /source

FROM install AS install-predictor
# predictor-signing has what verifies the signatures of models, too, predictor-tracing what sends spans, and
# predictor-all both.
ARG PREDICTOR_LOCK=predictor
COPY requirements/${PREDICTOR_LOCK}.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-compile --require-hashes --no-deps --only-binary :all: --target /packages -r /requirements/${PREDICTOR_LOCK}.txt \
    && find /packages -type d -name tests -prune -exec rm -r {} +
COPY pyproject.toml README.md LICENSE ./
COPY predictor predictor
RUN pip install --no-cache-dir --no-compile --no-deps --no-build-isolation --target /packages . \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /packages

FROM install AS install-pipeline
COPY requirements/pipeline.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-compile --require-hashes --no-deps --target /packages -r /requirements/pipeline.txt \
    && find /packages -type d -name tests -prune -exec rm -r {} +
COPY pyproject.toml README.md LICENSE pipeline.py ./
COPY predictor predictor
COPY components components
RUN pip install --no-cache-dir --no-compile --no-deps --no-build-isolation --target /packages . \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /packages

FROM install AS install-registry
COPY requirements/registry.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-compile --require-hashes --no-deps --only-binary :all: --target /packages -r /requirements/registry.txt \
    && find /packages -type d -name tests -prune -exec rm -r {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /packages

# A gateway that serves a folder by the S3 protocol: one static program under the Apache License, which Go's checksum
# database verifies.
FROM ${GO_IMAGE} AS install-store
RUN --mount=type=cache,target=/root/.cache/go-build --mount=type=cache,target=/go/pkg \
    CGO_ENABLED=0 go install -trimpath -ldflags "-s -w" github.com/versity/versitygw/cmd/versitygw@v1.8.0

# What the images have in common. The user is a number, so that Kubernetes can see it is not root.
FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=""
ARG SOURCE=""
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
# The image brings what it runs: no way to install more, and nothing written beside the packages.
RUN rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* /usr/local/include \
    # A volume that is mounted here belongs to the user.
    && install -d -o 65532 -g 65532 /mnt/models /data
ENV PYTHONPATH=/packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /
USER 65532:65532

FROM runtime AS pipeline
LABEL org.opencontainers.image.title="linear-regressor/pipeline" \
      org.opencontainers.image.description="The steps that train, evaluate and register the model"
COPY --from=install-pipeline /packages /packages
# A step runs and ends; what tells of its health is its exit status.
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "pipeline"]

FROM runtime AS registry
LABEL org.opencontainers.image.title="linear-regressor/registry" \
      org.opencontainers.image.description="MLflow, which knows the versions of the model"
COPY --from=install-registry /packages /packages
# Nothing is reported to anybody: the server may have no way out of its cluster.
ENV MLFLOW_DISABLE_TELEMETRY=true
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as http; http.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "mlflow"]
CMD ["server", "--help"]

FROM runtime AS store
LABEL org.opencontainers.image.title="linear-regressor/store" \
      org.opencontainers.image.description="An S3 store in a folder, to try the pipeline without a cloud"
COPY --from=install-store /go/bin/versitygw /usr/local/bin/versitygw
EXPOSE 9000
HEALTHCHECK --interval=2s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as http; http.urlopen('http://127.0.0.1:9000/health', timeout=4)"]
ENTRYPOINT ["versitygw", "--port", ":9000", "--health", "/health", "posix"]
CMD ["/data"]

# Last, so that a build without a target makes the server.
FROM runtime AS predictor
LABEL org.opencontainers.image.title="linear-regressor/predictor" \
      org.opencontainers.image.description="A KServe model server for the linear regressor"
COPY --from=install-predictor /packages /packages
# Outside of a container the server listens on the loopback address only.
ENV PREDICTOR_HOST=0.0.0.0
EXPOSE 8080 8081
# Alive, whatever the model's state: what Kubernetes asks is told in the manifests.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as http; http.urlopen('http://127.0.0.1:8080/ping', timeout=4)"]
ENTRYPOINT ["python", "-m", "predictor"]
CMD ["--model_name", "linear-regressor", "--model_dir", "/mnt/models", "--http_port", "8080", "--grpc_port", "8081"]
