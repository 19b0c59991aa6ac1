"""Fixtures of the black-box tests: a running Millrace for a module, or one that the test may kill."""
import shutil
import tempfile
from pathlib import Path

import pytest

from system import Millrace


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for millrace in Millrace.all_of_this_test:
            report.sections.append((f"logs of {millrace.home.name}", millrace.logs()))


def end(instances, folder):
    problems = []
    for millrace in instances:
        try:
            millrace.close()
        except (AssertionError, pytest.fail.Exception) as problem:
            problems.append(str(problem))
        Millrace.all_of_this_test.remove(millrace)
    if not problems:
        shutil.rmtree(folder, ignore_errors=True)
    assert not problems, "; ".join(problems) + f"; the files are in {folder}"


@pytest.fixture(scope="module")
def millrace():
    """One for all tests of a module that leave it running."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    instance = Millrace(folder / "shared")
    try:
        instance.start()
        yield instance
    finally:
        end([instance], folder)


@pytest.fixture
def make():
    """Makes instances, not yet started, that the test may stop, kill and start again: make(), make(**settings)."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    instances = []

    def new(**settings):
        instances.append(Millrace(folder / f"instance-{len(instances) + 1}", **settings))
        return instances[-1]

    try:
        yield new
    finally:
        end(instances, folder)
