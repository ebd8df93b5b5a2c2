"""How nbgrader runs a submission: a kernel that hangs or dies costs the task it was at, and no other.

nbgrader's own preprocessor goes on after an error. It gives up the whole submission when the kernel dies, and lets
every later cell wait when a loop can't be interrupted. This one starts a new kernel in both cases, runs the locked
cells without points again (the imports), and goes on with the next cell.
"""

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade, is_locked

__all__ = ["ExecuteToTheEnd"]

NEW = "The cells below were run in a new one, without what the cells above had defined."
DEAD = f"The Python process ended here: by an exit, by a crash, or for want of memory. {NEW}"
LATE = "This cell did not end within {seconds} seconds, and its Python process was ended. " + NEW
AGAIN = "(The Python process ended before this cell or in it. The cell was run again in a new one.)\n"
SETUP_SECONDS = 600


class ExecuteToTheEnd(Execute):
    """nbgrader's preprocessor ``Execute``, which goes on with a new kernel after a hang or a crash."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict, index: int) -> tuple[NotebookNode, dict]:
        for attempt in (1, 2):  # exit() in a cell ends the kernel at the next one, which is innocent
            try:
                cell, resources = super().preprocess_cell(cell, resources, index)
            except DeadKernelError:
                self._new_kernel(resources, index)
                if attempt == 2:
                    self._fail(cell, "KernelDied", DEAD)
            except CellTimeoutError:
                self._stopped(cell, resources, index)
                break
            else:
                if any(output.get("ename") == "CellTimeoutError" for output in cell.get("outputs", [])):
                    self._stopped(cell, resources, index)
                elif attempt == 2:
                    cell.outputs = [new_output("stream", name="stdout", text=AGAIN), *cell.outputs]
                break
        return cell, resources

    def _stopped(self, cell: NotebookNode, resources: dict, index: int) -> None:
        """After the limit: the error, and a new kernel, because the old one may be busy still."""
        cell.outputs = [output for output in cell.get("outputs", []) if output.output_type != "error"]
        self._fail(cell, "TookTooLong", LATE.format(seconds=self._get_timeout(cell)))
        self._new_kernel(resources, index)

    def _get_timeout(self, cell: NotebookNode | None) -> int | None:
        """The limit for a cell in seconds; that of the imports is no student's fault, and wide."""
        if cell is not None and is_locked(cell) and not is_grade(cell):
            return SETUP_SECONDS
        return super()._get_timeout(cell)

    def _fail(self, cell: NotebookNode, name: str, text: str) -> None:
        self.log.warning("%s", text)
        cell.outputs = [
            *cell.get("outputs", []),
            new_output("error", ename=name, evalue=text, traceback=[text]),
        ]

    def _new_kernel(self, resources: dict, index: int) -> None:
        """A new kernel with the locked cells up to ``index`` run again, the tests excepted."""
        self.shutdown_kernel = "immediate"  # a loop that swallows interrupts does not stop when asked
        if self.km is not None:
            self._cleanup_kernel()
        self.km = self.create_kernel_manager()
        self.start_new_kernel(cwd=(resources.get("metadata") or {}).get("path") or None)
        self.start_new_kernel_client()
        for number, cell in enumerate(self.nb.cells[: index + 1]):
            if cell.cell_type == "code" and is_locked(cell) and not is_grade(cell):
                outputs = cell.outputs
                self.execute_cell(cell, number, store_history=True)
                cell.outputs = outputs
