# The course in one command each; `make help` lists them. Works with GNU make from 3.81 (macOS) on.
PYTHON ?= python3
RUN := .venv/bin/python
OFFLINE := sh tools/offline.sh # runs a command with the network cut off, where that can be done
INSTALLED := .venv/installed
BRANCH ?= main
comma := ,
CHOSEN = $(subst $(comma), ,$(NOTEBOOKS))

.PHONY: lab test test-slow faults verify course replicate arithmetic bench data notebooks colab help clean need-seeds
.DEFAULT_GOAL := help

lab: $(INSTALLED) ## install what is pinned and open your copy, mine/: [FRESH=1] [TORCH=cpu]
	$(RUN) tools/open_lab.py $(if $(filter-out 0 no,$(FRESH)),--fresh)

test: $(INSTALLED) ## lint, fast tests, every notebook as a reader runs it, the labs in a browser
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(OFFLINE) $(RUN) -m pytest -q -rs -m "not slow and not browser" \
		--nbval --nbval-current-env --nbval-cell-timeout=300 tests notebooks
	$(OFFLINE) $(RUN) -m pytest -q -rs -m "browser and not slow" tests/test_browser.py
	@echo "make test: everything passed (what was skipped is named above, with its reason)"

test-slow: $(INSTALLED) ## kernels, faults, servers, cluster, random settings of the labs
	$(OFFLINE) $(RUN) -m pytest -q -rs -m slow tests
	@echo "make test-slow: everything passed (what was skipped is named above, with its reason)"

faults: $(INSTALLED) ## the longer tests: cells in any order, 500 settings, every notebook
	COURSE_FAULTS=1 $(OFFLINE) $(RUN) -m pytest -q -rs \
		tests/test_faults_of_notebooks.py tests/test_labs_of_notebooks.py

verify: $(INSTALLED) ## recompute what moved, and a sample of the rest: [ALL=1] [NOTEBOOKS=01,05]
	$(OFFLINE) $(RUN) tools/verify.py $(if $(ALL),--all) $(CHOSEN)

course: $(INSTALLED) ## run every notebook from scratch and write readable pages into build/
	$(RUN) tools/run_notebooks.py course $(CHOSEN)

replicate: need-seeds $(INSTALLED) ## count the claims that hold: SEEDS=101-110 [NOTEBOOKS=01,05] [KEEP=1]
	$(RUN) tools/replicate.py --seeds "$(SEEDS)" $(if $(NOTEBOOKS),--notebooks "$(NOTEBOOKS)") \
		$(if $(KEEP),--keep)

arithmetic: $(INSTALLED) ## judge the claims with AVX2 and without vectors: [NOTEBOOKS=01,05]
	$(RUN) tools/arithmetic.py $(if $(NOTEBOOKS),--notebooks "$(NOTEBOOKS)")

bench: $(INSTALLED) ## time the course, and what people would use instead; an hour, on an idle machine
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev,bench]"
	$(RUN) tools/bench.py
	$(RUN) tools/bench_notebooks.py
	$(RUN) tools/bench_growth.py
	$(RUN) tools/measured_page.py --keep

data: $(INSTALLED) ## recompute and rewrite the stored results: [NOTEBOOKS=01,05]
	$(RUN) tools/run_notebooks.py data $(CHOSEN)

notebooks: $(INSTALLED) ## run every notebook and rewrite its committed outputs: [NOTEBOOKS=01,05]
	$(RUN) tools/run_notebooks.py refresh $(CHOSEN)

colab: $(INSTALLED) ## stamp badges and set-up cells: REPO=owner/name [BRANCH=main]
	$(RUN) tools/colab.py $(if $(filter command,$(origin REPO)),"$(REPO)" "$(BRANCH)")

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

clean: ## remove what the targets wrote (build/, replicated seeds too, and caches); .venv stays
	rm -rf build .pytest_cache .ruff_cache

# Remade when the pins change, and only then. TORCH=cpu asks uv for the small build of torch: uv
# knows where that is. The file remembers the choice, so that new pins do not bring the big one.
TORCH ?= $(shell cat $(INSTALLED) 2>/dev/null)
$(INSTALLED): pyproject.toml constraints.txt | .torch
	@test -x .venv/bin/pip || command -v $(PYTHON) >/dev/null || \
		{ echo "There is no $(PYTHON) here: install Python 3.11, 3.12 or 3.13."; exit 1; }
	@test -x .venv/bin/pip || { $(PYTHON) tools/check_python.py && $(PYTHON) -m venv .venv; }
	@echo "Installing the pinned packages into .venv: takes minutes the first time."
	$(if $(TORCH),$(RUN) -m pip install --disable-pip-version-check -c constraints.txt uv)
	$(RUN) -m $(if $(TORCH),uv pip install --python $(RUN) --torch-backend=$(TORCH),pip install \
		--disable-pip-version-check) -c constraints.txt -e ".[dev]"
	@echo "$(TORCH)" > $@

.PHONY: .torch
.torch: # looks at TORCH each time, also where everything is installed
	@test -z "$(TORCH)" -o "$(TORCH)" = cpu || \
		{ echo "TORCH is '$(TORCH)': accepted is cpu, the small build, or nothing."; exit 1; }
	@test ! -f $(INSTALLED) -o "$(TORCH)" = "$$(cat $(INSTALLED) 2>/dev/null)" || \
		echo "Torch is installed already; to choose its build anew, 'rm -r .venv' first."

need-seeds:
	@test -n "$(SEEDS)" || { echo "Say which seeds, as in 'make replicate SEEDS=101-110'."; exit 1; }
