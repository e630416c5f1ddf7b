# Two commands for a newcomer:   make run    make test
# For developers, see HACKING.md.

PYTHON ?= $(shell etc/choose-python)
VENV = .venv
BIN = $(VENV)/bin
# Tests of whole systems mostly wait, so that there are more at a time than processors.
JOBS ?= 4
STAMP = $(VENV)/.installed
PREFIX ?= /opt/pyexim
SETUID ?= yes
EXTRAS ?= tls,lmdb,redis,mysql,pgsql,ldap
# What a command's time would otherwise go into is the start of an interpreter; optional, for there may be no compiler.
LAUNCHER = src/launcher

.PHONY: all run stop test check unit interop root clean settings install install-links uninstall help compare

all: $(STAMP) $(LAUNCHER)

help:
	@echo "make run       set up, start a private server, send it a message, show the delivery"
	@echo "make stop      stop that server"
	@echo "make test      all tests"
	@echo "make check     lint, types, unit tests: less than a minute"
	@echo "make compare   the comparisons with a real Exim only"
	@echo "make install   install (see README.md); make settings NAME=value ... first"

$(STAMP): setup.py Makefile
	@$(PYTHON) -c 'import sys; sys.exit("pyexim needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	@echo "== making the environment in $(VENV) (once; a minute or so)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "== installing the libraries"
	@($(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --editable ".[tls,test,dev,lmdb,redis,mysql,pgsql,ldap]" 2>&1 \
	    && touch $@) | tee $(VENV)/install.log | \
	    sed -u -n -e 's/^Collecting \([^ ]*\).*/   \1/p' -e 's/^Installing collected packages.*/   (installing)/p' -e '/^ERROR/p'
	@test -f $@ || { tail -5 $(VENV)/install.log; echo "make: the libraries could not be installed; see $(VENV)/install.log"; exit 1; }

$(LAUNCHER): src/launcher.c etc/build_launcher.py lib/pyexim/settings.py $(wildcard lib/pyexim/settings_local.py)
	@$(PYTHON) etc/build_launcher.py

run: all
	@$(BIN)/python etc/trial.py start

stop: $(STAMP)
	@$(BIN)/python etc/trial.py stop

test: all
	@$(BIN)/python -m pytest t -n $(JOBS) --dist worksteal

check: $(STAMP)
	@echo "== ruff"; $(BIN)/ruff check --quiet
	@echo "== mypy"; $(BIN)/mypy
	@echo "== unit tests and checks"; $(BIN)/python -m pytest t/unit t/check

unit: $(STAMP)
	@$(BIN)/python -m pytest t/unit

compare: $(STAMP)
	@$(BIN)/python -m pytest t/compare

interop: $(STAMP)
	@$(BIN)/python -m pytest t/interop t/compare

root: $(STAMP)
	@$(BIN)/python -m pytest t/root

# make settings EXIM_USER=mail CONFIGURE_FILE=/etc/exim4/exim4.conf
settings:
	@$(PYTHON) etc/make_settings.py $(MAKEOVERRIDES)
	@$(PYTHON) etc/build_launcher.py

# SETUID=no: then commands of ordinary users need the daemon.  EXTRAS: the optional features of setup.py, if not all.
INSTALLER = $(PYTHON) etc/install.py --destdir "$(DESTDIR)" --prefix "$(PREFIX)" --setuid "$(SETUID)" --extras "$(EXTRAS)"
install:
	@$(INSTALLER)

# The same, and sendmail, exim, mailq, newaliases, runq, rsmtp, rmail and the utilities become pyexim's.
install-links:
	@$(INSTALLER) --links

# Removes what was installed, and makes those names again what they were.
uninstall:
	@$(INSTALLER) --uninstall

clean:
	rm -rf $(LAUNCHER) $(VENV) build dist run *.egg-info lib/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
