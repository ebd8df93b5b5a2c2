# Each target is one line that a person could type; .venv is made once, and again when pyproject.toml changes.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= 2
NOTEBOOK ?= 00_start_here
LONG = $(patsubst %,--ignore=notebooks/%.ipynb,05_training 06_failures_at_inference 07_failures_in_training 09_long_audio 10_experiments 12_build_the_network)
# WORKERS processes share the tests, each with one thread: more threads than cores make each of them slower.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)
NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
ROOT_FLAG = $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab test test-all test-faults test-oldest test-asteroid bench bench-precision bench-gpu bench-diagnosis lint \
    notebooks site course clean

# Trusted notebooks show their players; the settings written beside them keep JupyterLab from asking about its news.
lab: $(VENV)/ready  ## open the workbook in JupyterLab (ARGS=--no-browser on a server, NOTEBOOK=03_loss_and_pit)
	$(BIN)/jupyter trust notebooks/*.ipynb
	$(BIN)/jupyter lab $(ROOT_FLAG) $(ARGS) notebooks/$(NOTEBOOK).ipynb

# The LONG notebooks take minutes: make test runs them small, and the others as committed; make test-all both.
test: lint  ## lint, unit tests, long notebooks small (papermill), the others as committed (nbval), real browser runs
	$(PYTEST) --dist worksteal -m "not slow" $(ARGS)
	DPRNN_LAB_CLAIMS=all $(PYTEST) --dist loadscope --nbval-lax --nbval-cell-timeout=300 $(LONG) notebooks

test-all: lint $(VENV)/site $(VENV)/course test-oldest test-faults  ## the same, the slow proofs, coverage, the oldest packages allowed, injected faults
	$(PYTEST) --dist worksteal --cov=dprnn_lab --cov-report=term:skip-covered $(ARGS)
	DPRNN_LAB_CLAIMS=all $(PYTEST) --dist loadscope --nbval-lax --nbval-cell-timeout=1800 notebooks

test-oldest: $(VENV)-oldest/ready  ## the tests with the oldest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 $(VENV)-oldest/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" tests

test-faults: $(VENV)/ready  ## kill, interrupt, fill disks, fuzz files, for real; writes tests/README.md (ARGS='--kills 3' for less)
	$(BIN)/python -m tests.injected.run $(ARGS)

test-asteroid: $(VENV)-asteroid/ready  ## compare with the real Asteroid, in an environment of its own
	$(VENV)-asteroid/bin/python -m pytest -m asteroid tests/asteroid

bench: $(VENV)-asteroid/bench  ## time and memory beside the real Asteroid; writes tests/benchmarks/results.md
	$(VENV)-asteroid/bin/python tests/benchmarks/run.py $(ARGS)

bench-gpu: $(VENV)/ready  ## mixtures a second in training on a GPU, under four minutes; writes tests/benchmarks/training_gpu.md
	$(BIN)/python tests/benchmarks/training_gpu.py $(ARGS)

bench-precision: $(VENV)/ready  ## what bfloat16 and smaller ONNX weights cost in dB; writes tests/benchmarks/precision.md
	$(BIN)/python tests/benchmarks/precision.py $(ARGS)

bench-diagnosis: $(VENV)/ready  ## measure how far the diagnosis can be trusted; writes the README.md of both benches
	$(BIN)/python -m dprnn_lab.faults.bench $(ARGS); first=$$?; $(BIN)/python tests/diagnosis/second_bench --workers $(WORKERS) && exit $$first

lint: $(VENV)/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

notebooks: $(VENV)/ready  ## run the notebooks in place at full size and refresh their committed outputs
	$(BIN)/python notebooks/execute.py $(ARGS)

.PHONY: slides
slides: $(VENV)/site  ## slides of six lectures in build/slides, offline; reveal.js through nbconvert
	$(BIN)/python docs/slides/build_slides.py $(ARGS)

site: $(VENV)/site  ## the static site of all notebooks and the API in build/site; works from a file and any host
	$(BIN)/python docs/build_site.py $(ARGS)

course: $(VENV)/course  ## the graded course for nbgrader in build/course (EXAM=students.csv, SECRET=..., ARGS=--help)
	$(BIN)/python notebooks/course/build.py $(if $(EXAM),--exam "$(EXAM)") $(if $(SECRET),--secret "$(SECRET)") $(ARGS)

$(VENV)/ready: pyproject.toml
	@echo "Setting up $(VENV): a few minutes the first time, torch is large ..."
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed, this is ' + sys.version)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[test]"
	@mkdir -p $(VENV)/share/jupyter/lab/settings
	@echo '$(NO_NEWS)' > $(VENV)/share/jupyter/lab/settings/overrides.json
	@touch $@
	@echo "$(VENV) is ready."

$(VENV)/site: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[site]"
	@touch $@

$(VENV)/course: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[course]"
	@touch $@

$(VENV)-oldest/ready: pyproject.toml
	@echo "Setting up $(VENV)-oldest ..."
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/pip install --quiet --disable-pip-version-check uv
	$(VENV)-oldest/bin/uv pip install --quiet --python $(VENV)-oldest/bin/python --resolution lowest-direct -e ".[test]"
	@touch $@

# Asteroid pins releases of what we use that are too old for us: beside it stands what its tests import, no more.
$(VENV)-asteroid/ready: pyproject.toml
	@echo "Setting up $(VENV)-asteroid ..."
	$(PYTHON) -m venv $(VENV)-asteroid
	$(VENV)-asteroid/bin/pip install --quiet "setuptools<80" wheel torch torchaudio
	$(VENV)-asteroid/bin/pip install --quiet --no-build-isolation asteroid==0.7.0 requests safetensors soundfile pytest pytest-timeout
	@touch $@

$(VENV)-asteroid/bench: $(VENV)-asteroid/ready
	$(VENV)-asteroid/bin/pip install --quiet onnx onnxruntime onnxscript typer pandas huggingface_hub fast-bss-eval
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-asteroid $(VENV)-oldest build .pytest_cache .ruff_cache .hypothesis
