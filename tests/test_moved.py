"""Old module paths and names keep importing."""

import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import dprnn_lab
from dprnn_lab.moved import MODULES, NAMES


@pytest.fixture(autouse=True)
def as_if_never_imported():
    """The old modules are made anew, with their warning."""
    for name in MODULES:
        sys.modules.pop(f"dprnn_lab.{name}", None)


@pytest.mark.parametrize("old", MODULES)
def test_an_old_module_imports_and_names_the_new_one(old):
    with pytest.warns(DeprecationWarning, match=rf"dprnn_lab\.{old} is now dprnn_lab\.{MODULES[old]}$"):
        module = import_module(f"dprnn_lab.{old}")
    new = import_module(f"dprnn_lab.{MODULES[old]}")
    assert all(getattr(module, name) is getattr(new, name) for name in new.__all__)


@pytest.mark.parametrize("old", NAMES, ids=".".join)
def test_an_old_name_is_found_in_its_new_module(old):
    module, name = NAMES[old]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert getattr(import_module(f"dprnn_lab.{old[0]}"), old[1]) is getattr(
            import_module(f"dprnn_lab.{module}"), name
        )


def test_what_people_wrote_still_runs():
    with pytest.warns(DeprecationWarning) as caught:
        from dprnn_lab.diagnosis.faults.weights import FAULTS  # noqa: F401
        from dprnn_lab.growing import deepen
        from dprnn_lab.mixing import DynamicMixing, FixedMixtures  # noqa: F401

        from dprnn_lab import speech  # noqa: F401
        from dprnn_lab.checkpoint import recover_config
        from dprnn_lab.diagnosis import inject
    assert (recover_config, inject.__module__) == (dprnn_lab.recover_config, "dprnn_lab.faults")
    assert deepen.__module__ == "dprnn_lab.model.growing"
    texts = {str(warning.message) for warning in caught}
    assert "dprnn_lab.checkpoint.recover_config is now dprnn_lab.diagnosis.recover_config" in texts
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("module", ["mixing", "checkpoint", "diagnosis.faults"])
def test_a_name_that_never_was_is_an_error(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = import_module(f"dprnn_lab.{module}")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        old.nothing  # noqa: B018


def test_no_old_name_hides_a_new_one():
    folder = Path(dprnn_lab.__file__).parent
    for name in MODULES:
        path = folder / name.replace(".", "/")
        assert not path.with_suffix(".py").exists(), name
        assert not (path / "__init__.py").exists(), name
    for module, name in NAMES:
        if module not in MODULES:
            assert name not in vars(import_module(f"dprnn_lab.{module}")), (module, name)


def test_the_package_itself_uses_no_old_name():
    code = "import dprnn_lab.cli, dprnn_lab.sweeps, dprnn_lab.explorers.chunks, dprnn_lab.faults, dprnn_lab.training"
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:dprnn_lab", "-c", code],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_exercises_say_where_they_are():
    with pytest.raises(ModuleNotFoundError, match="lies in notebooks/ now"):
        import_module("dprnn_lab.exercises")
