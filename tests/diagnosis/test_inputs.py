"""The arguments of diagnose are the fields of Inputs, which a case extends."""

import inspect
import subprocess
import sys
from dataclasses import fields

import pytest
import torch

from dprnn_lab.diagnosis import Inputs, diagnose
from dprnn_lab.faults import Case


def test_the_arguments_of_diagnose_are_the_fields_of_inputs():
    signature = inspect.signature(diagnose)
    arguments = [(p.name, p.annotation, p.default) for p in signature.parameters.values()]
    assert arguments == [(f.name, f.type, f.default) for f in fields(Inputs)]
    assert all(f"{name}: " in diagnose.__doc__ for name, *_ in arguments)


def test_a_case_has_the_same_arguments_and_what_diagnose_must_not_see():
    names = [f.name for f in fields(Case)]
    assert names[: len(fields(Inputs))] == [f.name for f in fields(Inputs)]
    assert "truth" in names


def test_importing_loads_no_more_than_needed():
    code = (
        "import sys, dprnn_lab; assert not {'dprnn_lab.diagnosis', 'pandas'} & set(sys.modules);"
        "import dprnn_lab.diagnosis; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_a_number_of_speakers_that_no_recording_has_is_refused(count):
    with pytest.raises(ValueError, match=f"speakers is {count!r}: give the number of people"):
        diagnose(mixture=torch.zeros(800), speakers=count)
