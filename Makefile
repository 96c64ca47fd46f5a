.PHONY: demo test test-slow test-portable docs lint clean

PYTHON ?= python3
BIN := .venv/bin

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e .[dev]
	touch $@

demo: .venv/.installed
	$(BIN)/python train.py stage=rvqvae
	$(BIN)/python train.py stage=semtalk
	$(BIN)/python eval.py video_seconds=10
	$(BIN)/python generate.py audio=examples/spoken.flac

test: .venv/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

# What takes minutes, without the wrong versions of the method's lines (pytest -m slow tests/test_mutants.py: hours).
test-slow: .venv/.installed
	$(BIN)/python -m pytest -m slow --ignore tests/test_mutants.py

# The tests as on other CPUs: instructions of torch, threads, and the precision that `auto` picks, every pair of values
# once; oneDNN is kept to AVX2. TESTS chooses some of them, TORCH another torch, as in TORCH="torch==2.6.*".
MACHINES ?= default:1:32-true default:2:bf16-mixed avx2:1:bf16-mixed avx2:2:32-true
test-portable: .venv/.installed
	$(if $(TORCH),$(BIN)/pip install --quiet --upgrade "$(TORCH)")
	for machine in $(MACHINES); do \
	  set -- $$(echo $$machine | tr : " "); \
	  echo "== instructions $$1, threads $$2, precision $$3"; \
	  ATEN_CPU_CAPABILITY=$$1 ONEDNN_MAX_CPU_ISA=AVX2 SEMTALK_TEST_THREADS=$$2 SEMTALK_TEST_PRECISION=$$3 \
	    $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(TESTS) || exit 1; \
	done

docs: .venv/.installed
	$(BIN)/pip install --quiet -c constraints.txt -e .[docs]
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv runs data site
