"""The documentation in the code: examples that run, and a text for every public name."""

import doctest
import importlib
import inspect
import pkgutil

import pytest
import torch

import dprnn_lab

MODULES = ["dprnn_lab", *(m.name for m in pkgutil.walk_packages(dprnn_lab.__path__, "dprnn_lab."))]


def public_names(module):
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"torch": torch})
    assert result.failed == 0


def test_there_are_examples_to_run():
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = map(importlib.import_module, MODULES)
    assert sum(len(test.examples) for module in modules for test in finder.find(module)) >= 20


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_for(name):
    assert (importlib.import_module(name).__doc__ or "").strip()


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_and_class_has_a_docstring(name):
    for public, value in public_names(importlib.import_module(name)).items():
        if inspect.isfunction(value) or inspect.isclass(value):
            # A class inherits its parent's text, a dataclass gets its signature: neither counts.
            text = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
            assert text, f"{name}.{public} has no docstring"
            assert not text.startswith(f"{public}("), f"{name}.{public} has no docstring of its own"


@pytest.mark.parametrize("name", MODULES)
def test_public_methods_have_docstrings(name):
    for public, value in public_names(importlib.import_module(name)).items():
        if not inspect.isclass(value) or value.__module__ != name:
            continue
        for method, function in vars(value).items():
            inherited = any(method in vars(base) for base in value.__mro__[1:])
            if inspect.isfunction(function) and not method.startswith("_") and not inherited:
                assert function.__doc__, f"{name}.{public}.{method} has no docstring"


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_the_module_has(name):
    module = importlib.import_module(name)
    missing = [public for public in getattr(module, "__all__", ()) if not hasattr(module, public)]
    assert not missing


@pytest.mark.parametrize("name", MODULES)
def test_a_module_with_code_says_what_is_public(name):
    module = importlib.import_module(name)
    own = [v for k, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == name]
    assert hasattr(module, "__all__") or not own
