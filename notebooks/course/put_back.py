"""How nbgrader restores a submission: every locked cell that is missing is put back, the imports too."""

from nbformat import NotebookNode, from_dict
from nbgrader.preprocessors import OverwriteCells

__all__ = ["PutBackCells"]


class PutBackCells(OverwriteCells):
    """nbgrader's preprocessor ``OverwriteCells`` for submissions in which more than a test is missing.

    nbgrader's own puts back tests only, and fails where the cell before the test is missing, too.
    """

    def add_missing_grade_cells(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Put each missing locked code cell behind the one that precedes it in the release."""
        source = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        tests = {cell.name: cell for cell in source.grade_cells}
        for cell in nb.cells:
            if not cell.metadata.get("nbgrader", True):
                del cell.metadata["nbgrader"]  # of a copy; nbgrader takes what it left for an old format
        place = -1
        for cell in source.source_cells:
            names = [other.metadata.get("nbgrader", {}).get("grade_id") for other in nb.cells]
            if cell.name in names:
                place = names.index(cell.name)
            elif cell.locked and cell.cell_type == "code":
                place += 1
                nb.cells.insert(place, self._restored(cell, tests))
        return nb, resources

    def add_missing_task_cells(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """The course has no cells of this kind, which are marked by hand."""
        return nb, resources

    def _restored(self, source: NotebookNode, tests: dict) -> NotebookNode:
        self.log.warning("The cell %s is missing and is put back", source.name)
        test = tests.get(source.name)
        cell = from_dict(self.missing_cell_transform(source, test.max_score if test else 0))
        cell.metadata.nbgrader.update(schema_version=3, task=False, grade=test is not None)
        if test is None:
            cell.metadata.nbgrader.pop("points", None)
        return cell
