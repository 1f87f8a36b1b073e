# The one door for people who work on Penstock: `make` lists what there is.
# A bare machine needs python3 (3.11 or later, with venv), make and git; everything else is installed into .venv.

PYTHON ?= python3
DETECTOR ?= banking
DATA ?= penstock-data
PORT ?= 8000
LAB_PORT ?= 8501
TPS ?= 5
ALERTS ?= defaults
EVENTS ?= 200000
TRAINING_EVENTS ?= 150000
RECORDED ?= $(PENSTOCK_TEST_DATA)
URL ?= http://127.0.0.1:$(PORT)
MODELS = $(DATA)/models
BIN := .venv/bin
CONSOLE = src/penstock/service/static/console/index.html
KERNEL_SOURCES = $(shell grep --recursive --files-with-matches --include='*.py' njit src/penstock)
CONSOLE_SOURCES = $(shell find console -path console/node_modules -prune -o -type f -not -name schema.d.ts -print)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What `make infra` started: KAFKA_URL, REDIS_URL, POSTGRES_URL, S3_URL and the keys to it.
ifneq ($(wildcard .infra/servers.env),)
include .infra/servers.env
endif

# The broker: Kafka where it runs, else Redis; BROKER=redis asks for that. Each detector has topics: banking those with the
# plain names, others behind their name.
BROKER ?= $(if $(KAFKA_URL),kafka,redis)
BEHIND = $(if $(filter-out banking,$(DETECTOR)),$(DETECTOR))
PREFIX = $(addsuffix .,$(BEHIND))
SERVER = $(if $(filter redis,$(BROKER)),$(REDIS_URL),$(KAFKA_URL))
STREAM = $(if $(SERVER),$(SERVER)$(if $(filter redis,$(BROKER)),$(addprefix ?prefix=,$(PREFIX)),$(addprefix /,$(BEHIND))))
INBOX = $(if $(SERVER),$(SERVER)/$(PREFIX)transactions)
# One folder for worker and service, so that they share rules, lists, users and cases.
SHARED = $(DATA)/$(addsuffix -,$(BEHIND))$(if $(filter redis,$(BROKER)),redis-)worker
# What hides personal fields does so with one key for all processes behind a broker.
SHARED_KEY = $(DATA)/shared.key
WITH_KEY = PENSTOCK_PERSONAL_KEY_FILE=$(SHARED_KEY)

# The parts of a running system.
WORKER = $(WITH_KEY) $(BIN)/penstock worker $(DETECTOR) --stream '$(STREAM)' --data $(SHARED) --models $(MODELS) \
	--alerts $(ALERTS) $(if $(POSTGRES_URL),--ledger $(POSTGRES_URL)) $(if $(REDIS_URL),--redis $(REDIS_URL)) $(if $(S3_URL),--archive $(S3_URL))
SERVICE = $(if $(STREAM),$(WITH_KEY)) $(BIN)/penstock serve $(DETECTOR) --port $(PORT) --models $(MODELS) \
	$(if $(STREAM),--data $(SHARED) --stream '$(STREAM)',--data $(DATA))
GENERATOR = $(BIN)/penstock simulate $(DETECTOR) --tps $(TPS) --to $(or $(INBOX),$(URL))

.DEFAULT_GOAL := help
.PHONY: help setup run bootstrap lab frontend console console-build console-check console-test console-if-possible client infra infra-stop stream api generator trainer test test-slow recipes test-spark spark-jars check bench bench-quick eval perf screenshot docs lock clean
.PHONY: prepared commands

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { gsub(/\$$\(URL\)/, "$(URL)", $$2); printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.for-work  ## .venv with everything that is needed to work on the project, compiled kernels, and the console
	@$(MAKE) --no-print-directory -j 2 .venv/.demo-models console-if-possible
	@$(MAKE) --no-print-directory .venv/.kernels

run:  ## a server on $(URL) with its console and simulated traffic through a trained detector
	@$(MAKE) --no-print-directory -j 2 .venv/.demo-models console-if-possible
	@$(BIN)/penstock demo --port $(PORT) --tps $(TPS) --data $(DATA)

infra:  ## Kafka, Redis, PostgreSQL and an S3 server, those that this machine can run; addresses in .infra/servers.env
	@$(PYTHON) -m deploy.infra start

infra-stop:  ## stop them; their data stay in .infra
	@$(PYTHON) -m deploy.infra stop

bootstrap:  ## everything of DETECTOR: servers, topics, models, worker, service with console, traffic; Ctrl-C ends all
	@$(MAKE) --no-print-directory -j 2 .venv/.kernels console-if-possible
	@$(PYTHON) -m deploy.bootstrap "$(MAKE)" $(URL)

stream: prepared  ## the worker of DETECTOR behind the servers of `make infra`, with every store that runs
	@$(WORKER)

lab: .venv/.for-work  ## pages for data people, beside the service on URL: data, simulations, thresholds, models, mistakes
	@$(BIN)/penstock lab --port $(LAB_PORT) --url $(URL) --data $(DATA)

frontend: console/node_modules/.installed  ## the console in development on port 3000, in front of the service on URL
	@PENSTOCK_URL=$(URL) $(NPM) run dev

console: frontend  ## the same as frontend

console-build: $(CONSOLE)  ## build the console into the package

console-check: console/node_modules/.installed .venv/.for-work  ## lint, types, tests of its logic, and its client in step with the API
	@$(BIN)/python console/document.py --check
	@$(NPM) run check
	@$(NPM) run test

console-test: .venv/.for-work $(CONSOLE)  ## the console in a real browser, in front of a real server
	@$(BIN)/python -m pytest tests/console -m slow -n 2 --dist loadfile $(PYTEST_ARGS)

client: console/node_modules/.installed .venv/.for-use  ## after a change of the API: write the document that the console's client is made from
	@$(BIN)/python console/document.py
	@$(NPM) run client

api: .venv/.for-use console-if-possible $(SHARED_KEY)  ## only the service of DETECTOR: behind the broker of `make infra` where it runs, else deciding itself on the demo's data
	@$(SERVICE)

generator: .venv/.for-use  ## only the simulated traffic of DETECTOR: into the broker of `make infra` where it runs, else to URL
	@$(GENERATOR)

trainer: .venv/.for-use  ## trains DETECTOR on simulated history once a day; the result decides or challenges
	@$(MAKE) --no-print-directory $(HISTORY)
	@$(BIN)/penstock trainer $(DETECTOR) --data $(HISTORY) --models $(MODELS) --every 24h

test: .venv/.for-work .venv/.kernels  ## the tests
	@$(BIN)/python -m compileall -q src  # else each of the processes that tests start does, where Python writes no bytecode
	@$(BIN)/python -m pytest -m "not slow" -n 4 --dist loadfile $(PYTEST_ARGS)

test-slow: .venv/.for-work  ## the tests that take minutes, without those of the console
	@$(BIN)/python -m pytest -m slow --ignore tests/console -n 2 --dist loadfile $(PYTEST_ARGS)

recipes: .venv/.for-work $(CONSOLE)  ## the commands of docs/recipes at their full size, in front of real servers
	@PENSTOCK_RECIPES=full $(BIN)/python -m pytest -m slow tests/recipes $(PYTEST_ARGS)

test-spark: .venv/.for-work spark-jars  ## the tests on Spark, with a real Kafka; PENSTOCK_SPARK_EVENTS says how much
	@$(BIN)/python -m pytest -m slow tests/integration/test_spark_backfill.py tests/integration/test_spark_stream.py $(PYTEST_ARGS)

spark-jars:  ## the jars with which Spark reads Kafka, by Maven, into .infra/spark-jars
	@mvn -q -B -f deploy/spark/pom.xml dependency:copy-dependencies -DoutputDirectory="$(CURDIR)/.infra/spark-jars"

check: .venv/.for-work  ## what CI runs: lint, format, types, import contract, the console, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	@$(BIN)/python docs/site.py
	@$(MAKE) --no-print-directory console-check
	@$(MAKE) --no-print-directory test

bench: .venv/.for-work  ## every benchmark; the table goes to benchmarks/results.json
	@$(BIN)/python benchmarks/run.py

bench-quick: .venv/.for-work  ## every benchmark, shortened; prints the table only
	@$(BIN)/python benchmarks/run.py --quick

eval: .venv/.for-use  ## what the models are worth: recorded data and simulated attacks; RECORDED=DIR says where the data lie
	@$(BIN)/python evaluation/run.py $(if $(RECORDED),--recorded "$(RECORDED)") $(EVAL_ARGS)

perf: .venv/.for-use $(MODELS)/$(DETECTOR)/champion  ## a load test of the service: requests/s and latency
	@$(BIN)/penstock loadtest --serve $(DETECTOR) --models $(MODELS) --requests 50000 --concurrency 64
	@$(BIN)/penstock loadtest --serve $(DETECTOR) --models $(MODELS) --requests 20000 --concurrency 64 --rate 2000

screenshot: .venv/.for-work $(CONSOLE)  ## take the picture of README again, in a real browser in front of a demo
	@$(BIN)/python -m docs.screenshot

docs: .venv/.for-work  ## write the generated pages of docs/reference again, and the site into build/site, with every link checked
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/site.py

lock: .venv/.bootstrapped  ## resolve the dependencies again and write the lock files
	$(LOCK) pyproject.toml --extra train -o requirements.lock
	$(LOCK) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) pyproject.toml $(IMAGE) -c requirements-dev.lock -o requirements-image.lock
	$(LOCK) pyproject.toml $(IMAGE) --extra spark -c requirements-dev.lock -o requirements-spark.lock
	$(LOCK) --group node -o requirements-node.lock
	$(LOCK) --group bootstrap -c requirements-dev.lock -o requirements-bootstrap.lock

clean:  ## remove the environment, caches and build results (not the data folder)
	rm -rf .venv build dist console/node_modules src/penstock/service/static/console src/penstock/trained .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- what a worker needs before it starts

prepared: .venv/.for-use $(MODELS)/$(DETECTOR)/champion $(SHARED_KEY)
	@$(if $(STREAM),,echo "no broker runs; first: make infra"; exit 1)
	@$(if $(POSTGRES_URL),$(BIN)/penstock ledger create --ledger $(POSTGRES_URL))
	@$(BIN)/penstock topics create $(DETECTOR) --stream '$(STREAM)'

# The commands that deploy/bootstrap.py runs, a line each.
commands: ; $(info $(WORKER)) $(info $(SERVICE)) $(info $(GENERATOR)) @:

# ---------------------------------------------------------------- how models come to be where nobody has trained any

HISTORY = $(DATA)/$(addsuffix -,$(BEHIND))history.parquet

$(MODELS)/$(DETECTOR)/champion: | .venv/.for-use
	@echo "no models yet: simulating two months of events and training on them"
	@$(MAKE) --no-print-directory $(HISTORY)
	@$(BIN)/penstock trainer $(DETECTOR) --data $(HISTORY) --models $(MODELS) --once

$(HISTORY): | .venv/.for-use
	@mkdir -p $(DATA)
	@$(BIN)/penstock simulate $(DETECTOR) --events $(EVENTS) --days 60 --out $@

$(SHARED_KEY):
	@mkdir -p $(DATA)
	@umask 077; $(PYTHON) -c 'import secrets; print(secrets.token_hex(32))' > $@

# ---------------------------------------------------------------- how the console comes to be (docs/adr/0009-console.md)

# Node of the machine where it is recent; else the one that .venv/.node put into .venv.
NPM = PATH="$$PATH:$(CURDIR)/$(BIN)" $(if $(wildcard $(BIN)/npm),$(CURDIR)/$(BIN)/npm,npm) --prefix console --no-update-notifier --silent

$(CONSOLE): $(CONSOLE_SOURCES) | console/node_modules/.installed
	@echo "building the console"
	@$(NPM) run build
	@touch $@

# As the lock says. Not `npm ci`: that refuses a lock without the binaries of platforms that a registry does not carry.
console/node_modules/.installed: console/package-lock.json .venv/.node
	@echo "installing what the console is built with"
	@$(NPM) install --no-save
	@touch $@

.venv/.node: requirements-node.lock | .venv/.bootstrapped
	@node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null \
		|| { echo "no recent Node here: installing one into .venv"; \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements-node.lock; }
	@touch $@

# The service works without its console, and says how to get it.
console-if-possible:  ## the same where it can be; the service runs without it
	@$(MAKE) --no-print-directory console-build || echo "the console could not be built (above is why); the service runs without it"

# ---------------------------------------------------------------- how .venv comes to be

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --upgrade --custom-compile-command "make lock"

IMAGE = --extra train --extra kafka --extra mlflow --extra otel --extra postgres --extra redis --extra s3

# A fast installer where it works, plain pip where it does not; both check every hash.
define install
	@echo "installing $(1) into .venv"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) \
		|| $(BIN)/python -m pip install --quiet --require-hashes -r $(1)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . \
		|| $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endef

.venv/.bootstrapped: requirements-bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Penstock needs Python 3.11 or later; name one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "this Python has no venv; on Debian: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-bootstrap.lock
	@touch $@

.venv/.for-use: .venv/.bootstrapped requirements.lock pyproject.toml
	$(call install,requirements.lock)
	@touch $@

.venv/.for-work: .venv/.bootstrapped requirements-dev.lock requirements.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch .venv/.for-use $@

# Once, side by side, before a server or several tests at a time would. Code that is still good is not compiled again.
.venv/.kernels: $(KERNEL_SOURCES) | .venv/.for-use
	@echo "compiling the kernels"
	@$(BIN)/python -m penstock.wiring.prebuilt kernels
	@touch $@

# The models of the demo, as a wheel brings them along; without them the demo trains when it starts first.
.venv/.demo-models: $(wildcard src/penstock/detectors/banking/*.py) | .venv/.for-use
	@echo "compiling the kernels and training the models of the demo"
	@rm -rf src/penstock/trained
	@$(BIN)/python -m penstock.wiring.prebuilt demo src/penstock/trained $(TRAINING_EVENTS)
	@touch $@
