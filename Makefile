# Everything runs in .venv, which is made from requirements.lock when needed.
#   PROFILE  smoke, quick or paper
#   DATA     glyphs (embedded), or FEMNIST in one of the formats of book/data.md
#   ARGS     parameters of one notebook: make fig04 ARGS="-p c 15"
#   SUBMISSIONS  coursework to grade: a folder with a folder for each student

PROFILE ?= quick
DATA    ?= glyphs
ARGS    ?=
SUBMISSIONS ?=
PYTHON  ?= python3

ASKED := $(origin PROFILE)

# what somebody typed stays text: make does not expand it, and programs find it in the environment,
# where no shell reads it
override PROFILE := $(strip $(value PROFILE))
override DATA := $(value DATA)
override ARGS := $(value ARGS)
override SUBMISSIONS := $(value SUBMISSIONS)
export PROFILE DATA ARGS SUBMISSIONS
export PDRR_CACHE ?= $(CURDIR)/build/cache

ifneq ($(words $(PROFILE))$(filter-out smoke quick paper,$(PROFILE)),1)
$(error PROFILE needs smoke, quick or paper, got '$(PROFILE)')
endif

# an environment whose Python is gone, or that was made in another place, is not ready
$(shell test "$$(cat .venv/.ready 2>/dev/null)" = "$$(pwd -P)" && .venv/bin/python -c '' 2>/dev/null \
  || rm -f .venv/.ready)

# the clock was ahead when these were made: their age tells nothing, so they are made again
$(shell find build/pages build/site/_build/html/index.html -newermt '1 minute' -type f \
  -exec rm -f '{}' + 2>/dev/null)

# a notebook that was put back may be older than what was made of another version of it
MADE_OF := .made-of
changed = for was in build/$(1)/$(MADE_OF)/*.ipynb; do \
  cmp -s "$$was" "$(2)/$${was\#\#*/}" || rm -f "$${was%/$(MADE_OF)/*}/$${was\#\#*/}"; done
ifneq ($(filter site,$(MAKECMDGOALS)),)
$(shell $(call changed,pages/*,notebooks); $(call changed,coursework,notebooks/coursework))
endif
note = mkdir -p $(@D)/$(MADE_OF); cp $< $(@D)/$(MADE_OF)/

READY   := .venv/.ready
CHECKED := $(if $(filter file,$(ASKED)),smoke,$(PROFILE))
RUN     := .venv/bin/python -m pdrr
WITH    := .venv/bin/python scripts/with_args.py
STEMS   := $(basename $(notdir $(wildcard notebooks/*.ipynb)))
# two processes, up to 5 GB each: ARGS="-n 4" for more. Tests of one file share what they make; files
# go in the order of their names, which leaves no long one for the end
PYTEST  := -m pytest -q -n 2
TESTS   := $(PYTEST) --dist loadfile --no-loadscope-reorder
SITE    := build/site/_build/html
MAKING  := build/making
STARTED := $(shell date +%s)
PDF     := build/site/pdrr.pdf

# of the paper; book/_toc.yml says which notebooks they hold
SECTIONS := sec2 sec3 sec4 sec5

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book site FORCE test torture test-latest test-oldest audit lint format check record pages pdf picture lock data clean assignments grade demo-class $(STEMS) $(SECTIONS)

help: ## this list
	@echo "make TARGET [PROFILE=quick] [DATA=glyphs] [ARGS=\"-p NAME VALUE ...\"]"
	@echo
	@awk -F ':.*## ' '/^[a-z$$][^=]*:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  $(filter fig%,$(STEMS))"
	@echo "  $(filter table%,$(STEMS))"
	@echo "               one notebook with your parameters; results in build/runs"
	@echo "  $(SECTIONS)"
	@echo "               the notebooks of one section of the paper"

book: $(READY) ## execute the notebooks and build the book
	@.venv/bin/python scripts/alone.py build/.lock $(MAKE) --no-print-directory site
	@printf 'The book is at file://%s/$(SITE)/index.html\n' "$$PWD"

site: $(SITE)/index.html

test: $(READY) ## run the tests
	$(WITH) .venv/bin/python $(TESTS)

lint: $(READY) ## formatting, style and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/python -m mypy

format: $(READY) ## format the sources
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

torture: $(READY) ## try many hostile models, and what machines do to a book (an hour)
	PDRR_TORTURE=$${PDRR_TORTURE:-60} $(WITH) .venv/bin/python $(TESTS) tests/torture

# what is tried with other versions than the locked ones needs no book, notebook or browser
OTHERS := .[kernels,experiments,docs,data,coursework,test]
UV     := build/uv/bin/uv

test-latest: CHOICE := highest
test-latest: $(UV) ## the tests with the newest versions of everything: what will break next
test-oldest: CHOICE := lowest-direct
test-oldest: $(UV) ## the tests with the oldest versions that pyproject.toml allows
test-latest test-oldest:
	$(UV) venv -q --clear --python $(PYTHON) build/$(CHOICE)
	$(UV) pip install -q --python build/$(CHOICE)/bin/python --resolution $(CHOICE) -e '$(OTHERS)'
	build/$(CHOICE)/bin/python scripts/with_args.py build/$(CHOICE)/bin/python $(TESTS)

audit: ## known faults of the locked versions, where the index tells them
	$(PYTHON) -m venv build/audit && build/audit/bin/pip install -q pip-audit
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock

check: $(READY) ## recorded results against the paper's claims, and whether ours can be had again
	@$(WITH) $(RUN) check --profile $(CHECKED) --data "$$DATA"

bench: $(READY) ## time the aggregators, PDRR and their peers: ARGS=--quick, --help
	$(WITH) .venv/bin/python -m benchmarks

record: $(READY) ## run the recorded experiments: make record PROFILE=paper DATA=path
	$(WITH) $(RUN) record --profile "$$PROFILE" --data "$$DATA"

$(STEMS) $(SECTIONS): $(READY)
	@$(WITH) $(RUN) run $@ --profile "$$PROFILE" --data "$$DATA"

data: $(READY) ## what the chosen data set holds
	@$(RUN) data --profile "$$PROFILE" --data "$$DATA"

pages: book ## check the built pages in a headless browser (needs chromium)
	.venv/bin/python -m pip install -q -e '.[pages]'
	.venv/bin/python $(PYTEST) tests/book/test_pages.py tests/book/test_pages_explorer.py

pdf: book ## the whole book in one PDF (needs chromium, or CHROMIUM=path)
	@.venv/bin/python scripts/alone.py build/.lock $(MAKE) --no-print-directory $(PDF)
	@printf 'The PDF is at file://%s/$(PDF)\n' "$$PWD"

$(PDF): $(SITE)/index.html scripts/make_pdf.py
	@.venv/bin/python -c 'import playwright' 2>/dev/null || .venv/bin/python -m pip install -q -e '.[pages]'
	@.venv/bin/python scripts/make_pdf.py

picture: $(READY) ## draw the README's picture from the recorded runs
	.venv/bin/python scripts/readme_picture.py

$(UV):
	$(PYTHON) -m venv build/uv && build/uv/bin/pip install -q uv

lock: $(UV) ## resolve pyproject.toml anew into requirements.lock
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --upgrade \
	  --extra kernels --extra experiments --extra docs --extra flower --extra flare --extra data --extra coursework --extra test pyproject.toml -o requirements.lock

assignments: $(READY) ## students' versions of the coursework, in build/assignments
	@$(WITH) $(RUN) assignments

grade: $(READY) ## grade a folder of coursework: make grade SUBMISSIONS=dir
	@$(if $(SUBMISSIONS),,$(error make grade needs SUBMISSIONS=dir, with a folder for each student))
	@$(WITH) $(RUN) grade "$$SUBMISSIONS"

demo-class: $(READY) ## make 30 submissions, grade them, check the marks; in build/demo-class
	@$(WITH) .venv/bin/python scripts/demo_class.py

clean: ## remove what was built; the cache of trained rounds stays
	rm -rf build/book build/making build/site build/runs build/pages build/coursework

# the environment

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	  sys.exit(0 if (3, 11) <= v[:2] < (3, 14) else f"needs Python 3.11 to 3.13, got {v[0]}.{v[1]}")'
	@echo "installing into .venv (about 2 minutes)"
	@.venv/bin/python -c '' 2>/dev/null || rm -rf .venv
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q --require-hashes -r requirements.lock
	.venv/bin/python -m pip install -q --no-deps -e .
	@pwd -P > $@

# the book: executed notebooks, staged with the chapters, built as a whole

PAGES   := $(STEMS:%=build/pages/$(PROFILE)/%.ipynb)
SOURCES := $(shell find pdrr -name '*.py' -o -name '*.yaml' -o -name 'glyphs.png')
WORKS   := $(wildcard notebooks/coursework/*.ipynb)
CHAPTERS := $(shell find book -type f -not -path '*/__pycache__/*')

build/pages/$(PROFILE)/%.ipynb: notebooks/%.ipynb $(READY) $(SOURCES) $(wildcard book/records/*/*) build/pages/.data
	@$(note)
	@$(RUN) page $* $@ --profile "$$PROFILE" --data "$$DATA"

build/pages/$(PROFILE)/performance.ipynb: $(wildcard build/bench/*)

# what the reference answers draw, for the pages of the coursework
DRAWN := $(WORKS:notebooks/%=build/%)
build/coursework/%.ipynb: notebooks/coursework/%.ipynb $(READY) build/coursework/.sources
	@$(note)
	@$(RUN) reference $* $@

build/coursework/.sources: FORCE
	@$(PYTHON) scripts/inputs.py $@ $(filter-out pdrr/book,$(wildcard pdrr/*))

# other data, or another library under Keras, make the pages out of date, and so do sources that
# were put back with an older time
build/pages/.data: FORCE
	@$(PYTHON) scripts/inputs.py $@ DATA KERAS_BACKEND pdrr/ book/records/

# another PROFILE makes the site out of date, though its pages may be older
build/pages/.profile: FORCE
	@$(PYTHON) scripts/inputs.py $@ PROFILE book/ notebooks/coursework/ ./_config.yml ./CHANGELOG.md

# made aside: what stands at its place is whole
$(SITE)/index.html: $(PAGES) $(DRAWN) $(CHAPTERS) _config.yml CHANGELOG.md build/pages/.profile
	@set -e; trap 'exit 130' INT; began=$$(date +%s); \
	rm -rf build/book $(MAKING); mkdir -p build/book/notebooks $(MAKING); \
	cp -pR book/. build/book/; \
	cp -p $(PAGES) build/book/notebooks/; \
	$(RUN) assignments --book --out build/book; \
	$(RUN) status build/book/notebooks > build/book/status.md; \
	.venv/bin/python -c 'from jupyter_book.cli.main import main; main()' build build/book \
	  --config _config.yml --toc "$$PWD/build/book/_toc.yml" --path-output $(MAKING) -W -n --keep-going \
	  --quiet > $(MAKING)/build.log 2>&1 || { cat $(MAKING)/build.log >&2; exit 1; }; \
	rm -rf build/site; mv $(MAKING) build/site; \
	now=$$(date +%s); \
	echo "$(words $(PAGES)) pages in $$((now - $(STARTED))) s, $$((now - began)) s of them for the site"
