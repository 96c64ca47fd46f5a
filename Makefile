.PHONY: demo test docs lint clean

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

docs: .venv/.installed
	$(BIN)/pip install --quiet -c constraints.txt -e .[docs]
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv runs data site
