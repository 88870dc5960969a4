# make demo: set up everything and show the main job.  make test: set up everything and run all tests.
# make bench: measure against Docker, BuildKit and buildah, and write docs/benchmarks.md (root, 40 minutes).
PY ?= python3
BIN := .venv/bin
DEBIAN := docker.io docker-registry skopeo mmdebstrap nginx-light postgresql gcc libc6-dev
# Debian's own python comes without ensurepip.
DEBIAN += $(shell $(PY) -m ensurepip --version >/dev/null 2>&1 || echo python3-venv)

.PHONY: demo test bench check setup debian world lock clean

demo: setup
	$(BIN)/python tests/world/up.py --docker --run $(BIN)/python tests/world/demo.py

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

bench: setup
	PYTHONPATH=tests $(BIN)/python -m bench.run $(PARTS)

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --exclude '^tests/' .
	MYPYPATH=tests $(BIN)/mypy --explicit-package-bases tests/world
	$(BIN)/lint-imports

setup: debian .venv/ready world

debian:
	@missing=$$(for name in $(DEBIAN); do dpkg-query -W -f='$${Status}' $$name 2>/dev/null \
	  | grep -q 'ok installed' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
	  [ "$$(id -u)" = 0 ] || { echo "run as root: apt-get install" $$missing >&2; exit 1; }; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -q --no-install-recommends $$missing; \
	fi

.venv/ready: requirements.lock pyproject.toml
	$(PY) -m venv .venv
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	touch $@

world: .venv/ready
	@$(BIN)/python tests/world/make.py

lock:
	$(BIN)/uv pip compile -q --upgrade --no-header --no-annotate --python-version 3.11 --extra dev \
	  -o requirements.lock pyproject.toml

clean:
	rm -rf .venv .world *.egg-info
