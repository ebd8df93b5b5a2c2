"""The curves of a session as a table that is never found half-written.

Notebook: 05_training
"""

import csv
import io
import os
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from ..files import write_whole
from .checkpoints import run_was_removed

__all__ = ["Curves"]


class _Table(ExperimentWriter):
    """Lightning's writer, which keeps all rows and replaces the file by a whole new one."""

    def __init__(self, log_dir: str, run: Path):
        super().__init__(log_dir)
        self.rows: list[dict[str, Any]] = []
        self.run = run

    def save(self) -> None:
        if not self.metrics:
            return
        if not self.run.is_dir():
            raise run_was_removed(self.run)
        self._record_new_keys()
        self.rows += self.metrics
        self.metrics = []
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=self.metrics_keys)
        writer.writeheader()
        writer.writerows(self.rows)
        path = Path(self.metrics_file_path)
        try:
            write_whole(path, text.getvalue().encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


class Curves(CSVLogger):
    """``curves/version_N/metrics.csv`` and ``hparams.yaml`` in the run's folder."""

    def __init__(self, run: Path):
        super().__init__(run, name="curves")
        self.run = run

    @property
    @rank_zero_experiment
    def experiment(self) -> _Table:
        """The table of this session."""
        if self._experiment is None:
            os.makedirs(self.root_dir, exist_ok=True)
            self._experiment = _Table(self.log_dir, self.run)
        return self._experiment  # type: ignore[return-value]
