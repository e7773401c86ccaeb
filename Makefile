# make demo   the main job, end to end            make test   the whole suite
# Both work alone on a bare machine: .ci/setup brings what they need.
PY := .venv/bin/python
export PYTHONTZPATH :=
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-thorough check vectors bench simulate scenarios mutations mutate format clean clean-demo

demo: .venv/.ready
	@$(PY) -m loyalty_desk.demo $(DEMO)

test: .venv/.ready
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(PYTEST)

check: .venv/.ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) -m pytest -q -p no:randomly tests/loyalty_desk/domain/test_imports.py

vectors: .venv/.ready
	@$(PY) tests/vectors/run.py $(FILE)

bench: .venv/.ready
	@sh .ci/setup --group bench
	@$(PY) tests/bench/run.py $(BENCH)

test-thorough: .venv/.ready
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal tests/loyalty_desk/domain/properties --hypothesis-profile=thorough

simulate: .venv/.ready
	@$(PY) tests/simulation/run.py $(if $(SEEDS),SEEDS=$(SEEDS)) $(if $(SEED),SEED=$(SEED)) $(if $(STORE),STORE=$(STORE)) $(if $(FROM),FROM=$(FROM)) $(if $(REAL),REAL=$(REAL))

scenarios: .venv/.ready
	@$(PY) tests/scenarios/run.py $(if $(N),N=$(N))

mutations: .venv/.ready
	@$(PY) tests/scenarios/planted.py

mutate: .venv/.ready
	@sh .ci/setup --inexact --group mutate
	@$(PY) tests/mutation/run.py $(FILE)

format: .venv/.ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.venv/.ready: uv.lock pyproject.toml .ci/setup
	@sh .ci/setup

# Under a folder that the database's user cannot enter, its data was moved; the server's log says to where.
clean-demo:
	rm -rf $$(grep -ho '/var/lib/loyalty-desk/data-[0-9a-f]*' .loyalty-desk/demo/server.log 2>/dev/null | sort -u)
	rm -rf .loyalty-desk/demo demo-output

clean: clean-demo
	rm -rf .venv .uv .loyalty-desk
