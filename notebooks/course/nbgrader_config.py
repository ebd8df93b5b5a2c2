"""nbgrader's settings for the course; ``make course`` copies this file beside the assignments.

nbgrader reads it when it is started in this folder.
"""

import os
import sys
from pathlib import Path

COURSE = "@COURSE@"  # where the code of the course is on this machine; written by make course
sys.path.insert(0, COURSE)
from kernel_restart import ExecuteToTheEnd  # noqa: E402
from nbconvert.preprocessors import ClearMetadataPreprocessor  # noqa: E402
from nbgrader.preprocessors import (  # noqa: E402
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    IgnorePattern,
    LimitOutput,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from put_back import PutBackCells  # noqa: E402

HERE = Path(__file__).resolve().parent
# Kernels inherit these: one thread each, and no GPU, so that marks do not depend on the machine.
os.environ.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
os.environ["DPRNN_LAB_CHECK_SECONDS"] = "30"  # the limit of one check

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "dprnn-lab"
c.CourseDirectory.root = str(HERE)
# A module in a submission would be imported in place of the workbook's or PyTorch's.
c.CourseDirectory.ignore.extend(["*.py", "*.so", "*.pyd"])
# The stub is that of the notebooks; it is valid Python, so a release runs from top to bottom.
c.ClearSolutions.code_stub = {"python": "...  # your code"}
# The limit of a cell: a test has two checks, which stop by themselves.
c.ExecuteToTheEnd.timeout = 90
c.ExecuteToTheEnd.startup_timeout = 180
c.ExecuteToTheEnd.raise_on_iopub_timeout = False  # endless printing is no reason to give up a submission
c.LimitOutput.max_lines = 200
c.OverwriteCells.add_missing_cells = True
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    DeduplicateIds,
    OverwriteKernelspec,
    PutBackCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    ExecuteToTheEnd,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
# No exchange: files go by mail, a learning platform or a shared folder, and come back into submitted/.
c.Exchange.root = str(HERE / "no-exchange")
c.Exchange.path_includes_course = True
