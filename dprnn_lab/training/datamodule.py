"""The data of a run: mixtures for training, fixed ones for validation, divided among its processes.

Notebook: 05_training
"""

import itertools
import pickle
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, default_collate

from .signals import start_worker

__all__ = ["MixingData", "is_from_data"]


class _RemoteTraceback(Exception):
    """The traceback of an error in another process, shown as its cause."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class _Failed:
    """An error of a reading process, as the batch that it could not read.

    PyTorch would raise it in the main process with the whole traceback in its message.
    """

    def __init__(self, error: Exception):
        self.traceback = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
            self.error = error
        except Exception:  # an exception with arguments of its own can't always be copied
            self.error = RuntimeError(str(error))


class _Tried(Dataset):
    """A dataset whose item is the error, if it could not be read."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            return _Failed(error)


def _collate(items: list, collate: Callable[[list], Any]) -> Any:
    """A batch, or the first error."""
    return next((item for item in items if isinstance(item, _Failed)), None) or collate(items)


class _Loader(DataLoader):
    """A loader whose errors are those of the dataset, in one sentence, wherever it is read."""

    def __init__(
        self, dataset: Any, batch_size: int, workers: int = 0, collate: Any = default_collate, **options: Any
    ):
        if workers:
            dataset = _Tried(dataset)
            options |= {"num_workers": workers, "worker_init_fn": start_worker}
        super().__init__(dataset, batch_size, collate_fn=partial(_collate, collate=collate), **options)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        try:
            for batch in super().__iter__():
                if isinstance(batch, _Failed):
                    raise batch.error from _RemoteTraceback(batch.traceback)
                yield batch
        except Exception as error:
            error.__dict__["read_by_training"] = True
            raise


def is_from_data(error: BaseException) -> bool:
    """Whether an error was raised by the data of a run."""
    return bool(getattr(error, "read_by_training", False))


class _Share(DistributedSampler):
    """One rank's share of a dataset without its first ``seen`` items; ``len`` includes them."""

    seen = 0

    def __iter__(self):
        return itertools.islice(super().__iter__(), self.seen, None)


class MixingData(L.LightningDataModule):
    """New mixtures in each epoch for training, fixed ones for validation; each rank reads its own share of both.

    Args:
        train: items ``(mixture [T], sources [S, T])`` and ``set_epoch``, such as :class:`DynamicMixing`.
        valid: items ``(mixture [T], sources [S, T], spec)``, such as :class:`FixedMixtures`.
        batch_size: mixtures per step and process.
        workers: processes that read ahead; 0 reads in this one, which is fastest for voices in memory.

    Raises:
        ValueError: an epoch has fewer mixtures than a batch (found when training starts).
    """

    trainer: L.Trainer  # type: ignore[assignment]  # set by Lightning before a loader is asked for

    def __init__(self, train: Dataset, valid: Dataset, batch_size: int, workers: int = 0):
        super().__init__()
        self.train: Any = train
        self.valid, self.batch_size, self.workers = valid, batch_size, workers
        self.started = False

    def _sampler(self, dataset: Dataset, drop_last: bool) -> _Share:
        # No shuffling: training mixtures are random already. If the ranks do not divide the number of items, training
        # drops the rest, and validation scores some mixtures twice and counts them once.
        ranks, rank = self.trainer.world_size, self.trainer.global_rank
        return _Share(dataset, ranks, rank, shuffle=False, drop_last=drop_last)

    def train_dataloader(self) -> DataLoader:
        # Called at every epoch (reload_dataloaders_every_n_epochs=1).
        self.train.set_epoch(self.trainer.current_epoch)
        if len(self.train) < self.batch_size * self.trainer.world_size:
            raise ValueError(
                f"an epoch has {len(self.train)} mixtures, fewer than one step takes ({self.batch_size} in each of "
                f"{self.trainer.world_size} processes): make the epoch larger or the batch smaller"
            )
        sampler = self._sampler(self.train, drop_last=True)
        if not self.started:
            # A run stopped within an epoch continues after the batches it has seen.
            self.started = True
            sampler.seen = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready * self.batch_size
        return _Loader(self.train, self.batch_size, self.workers, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return _Loader(self.valid, 8, collate=_stack, sampler=self._sampler(self.valid, drop_last=False))


def _stack(items: list) -> tuple[torch.Tensor, torch.Tensor, list[str], list[str]]:
    mixtures, sources, specs = zip(*items, strict=True)
    return torch.stack(mixtures), torch.stack(sources), [s.id for s in specs], [s.kind for s in specs]
