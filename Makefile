# Every target sets the environment up first; that takes no time when nothing changed.
# The commands themselves are poe tasks in pyproject.toml.
POE := .venv/bin/poe --quiet

.PHONY: setup demo test interop lint bench pages docs load fuzz contract deploy-check chaos faults equality clean

setup:
	@deploy/setup.sh

demo test interop lint bench docs load fuzz contract deploy-check chaos faults equality: setup
	@$(POE) $@

pages: setup
	@deploy/pages.sh
	@$(POE) $@

clean:
	rm -rf .venv .interop .buf build dist out .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
