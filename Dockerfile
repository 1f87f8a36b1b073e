# Penstock with everything that a running system of several machines needs. `docker build -t penstock .` makes the image of the
# worker, the service and every command, training among them; `docker run -p 8000:8000 penstock` is the demo.
# `docker build --target spark .` adds Java and Spark.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/penstock/bin:$PATH \
    NUMBA_CACHE_DIR=/var/cache/penstock
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin penstock \
    && install --directory --owner penstock --mode 0700 /data /history /keys /var/cache/penstock

# ---------------------------------------------------------------- the console

FROM node:22-bookworm-slim AS console
WORKDIR /source/console
COPY console/package.json console/package-lock.json console/.npmrc ./
RUN npm install --no-save
COPY console ./
RUN npm run build

# ---------------------------------------------------------------- what is installed, every file of it by its hash

FROM base AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/penstock
COPY requirements-image.lock /source/
RUN pip install --quiet --require-hashes --requirement /source/requirements-image.lock
COPY requirements-bootstrap.lock pyproject.toml hatch_build.py README.md LICENSE /source/
COPY src /source/src
COPY --from=console /source/src/penstock/service/static/console /source/src/penstock/service/static/console
# The wheel is built beside the environment, not in it: what builds is not needed to run. It comes with compiled kernels and trained
# models, which takes what is installed there, and minutes.
RUN python -m venv /opt/builder \
    && /opt/builder/bin/pip install --quiet --require-hashes --requirement /source/requirements-bootstrap.lock \
    && PYTHONPATH=/opt/penstock/lib/python3.11/site-packages \
        /opt/builder/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels /source \
    && pip install --quiet --no-deps /wheels/*.whl

FROM build AS build-spark
COPY requirements-spark.lock /source/
RUN pip install --quiet --require-hashes --requirement /source/requirements-spark.lock

# ---------------------------------------------------------------- Spark: docker build --target spark

FROM maven:3.9-eclipse-temurin-17 AS spark-jars
COPY deploy/spark/pom.xml /pom.xml
RUN mvn --quiet --batch-mode --file /pom.xml dependency:copy-dependencies -DoutputDirectory=/jars

FROM base AS spark
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*
ENV PYSPARK_PYTHON=/opt/penstock/bin/python
COPY --from=build-spark /opt/penstock /opt/penstock
COPY --from=spark-jars /jars /opt/spark-jars
USER penstock
WORKDIR /data
VOLUME /data
ENTRYPOINT ["penstock"]
CMD ["--help"]

# ---------------------------------------------------------------- the image itself

FROM base AS penstock
COPY --from=build /opt/penstock /opt/penstock
USER penstock
WORKDIR /data
# Brings the compiled kernels of the wheel to where this user can write; another kind of processor compiles at its first start.
RUN python -c "import penstock"
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["penstock"]
CMD ["demo", "--host", "0.0.0.0"]
