"""Old names of modules, and of their contents: importing them still works, with a warning that names the new place."""

import sys
import warnings
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__: list[str] = []  # importing the package installs the finder

MESSAGE = f"{__package__}.{{}} is now {__package__}.{{}}"
# New module: old modules, and names from old modules (module:name, or module:name>new_name).
MOVED = {
    "audio": "audio_stream:check_suits speech:SAMPLE_RATE separation:PEAK",
    "files": "speech:data_folder files:claim>check_or_write_settings", "plots": "show",
    "model.config": "model.options", "model.dual_path": "model.projection", "model.growing": "growing sample_rate",
    "model.parametric": "model.constrained_filterbank", "checkpoint.asteroid": "asteroid",
    "checkpoint.saving": "checkpoint.native checkpoint.package",
    "checkpoint.settings": "checkpoint.settings:settle>resolve", "separation.file_to_file": "file_separation",
    "separation.windows": "long_audio", "separation.rescaling": "mixture_fit separation:SCALES",
    "separation.speaker_tracking": "speaker_tracking", "separation.audio_stream": "audio_stream",
    "separation.onnx_export": "export", "datasets.corpus": "speech",
    "datasets.mixing": "mixing pair_kinds mixing:RMS>MEAN_RMS",
    "datasets.dynamic_mixing": "frozen_mixtures mixing:DynamicMixing mixing:change_speed mixing:segment_length",
    "datasets.disk_mixtures": "datasets:DiskMixture datasets:heard_segment>active_segment",
    "datasets.speaker_folders": "speaker_folders",
    "datasets.augmentation": "augmentation augmentation:MADE>GENERATED", "datasets.segment_lengths": "segment_lengths",
    "datasets.conversation": "conversation", "evaluation.forward_cost": "forward_cost evaluation.costs",
    "training.muon": "optimizer", "training.run": "training.run:NETWORK>NETWORK_SETTINGS",
    "training.datamodule": "training.data", "training.data_sources": "training.sources",
    "training.machine": "training.machine:resolve_precision>lightning_precision",
    "training.callbacks": "training.stopping training.averaging training.watching "
    "training.stopping:TrueSteps>FixResumedStepCount training.watching:Listener>EpochCallback "
    "training.watching:Watch>ValidationLogger", "diagnosis": "checkpoint:Recovery checkpoint:recover_config",
    "diagnosis.recovery": "checkpoint.recover",
    "diagnosis.remix_consistency": "remix remix:remix>remix_consistency remix:Remix>RemixConsistency",
    "diagnosis.mixture": "diagnosis.sound diagnosis.sound:Sound>Recording diagnosis.sound:read_sound>read_recording",
    "diagnosis.checkpoint_file": "diagnosis.file", "diagnosis.initial_weights": "diagnosis.parameters",
    "diagnosis.checks.what_if": "diagnosis.checks.treatments",
    "faults": "diagnosis.faults diagnosis:Case diagnosis:FAULTS diagnosis:healthy_case diagnosis:healthy_training "
    "diagnosis:inject", "faults.case": "diagnosis.case", "faults.bench": "diagnosis.bench",
    "faults.healthy": "diagnosis.case:healthy_case diagnosis.case:healthy_training",
    "diagnosis.score_table": "diagnosis.score_table:two_heaps>two_clusters",
    "processes": "evaluation.executors:end_with_parent>end_worker_with_parent",
    "sweeps.failure": "sweeps.failure:what_failed>find_failure",
    **{f"faults.{x}": f"diagnosis.faults.{x}" for x in ("audio", "config", "curves", "data", "losses", "outputs")},
    "faults.scores": "diagnosis.faults.scores", "faults.weights": "diagnosis.faults.weights",
}  # fmt: skip
MODULES: dict[str, str] = {}  # old module: new module
NAMES: dict[tuple[str, str], tuple[str, str]] = {}  # old module and name: new module and name
for _new, _olds in MOVED.items():
    for _old in _olds.split():
        _module, _, _name = _old.partition(">")[0].partition(":")
        if _name:
            NAMES[_module, _name] = (_new, _old.partition(">")[2] or _name)
        else:
            MODULES[_module] = _new


def _look_up(module: str, name: str) -> object:
    """The ``__getattr__`` of an old module, or of one that has lost names."""
    place, new_name = NAMES.get((module, name)) or (MODULES.get(module), name)
    if place is None or (name.startswith("__") and name != "__all__"):
        raise AttributeError(f"module {__package__ + '.' + module!r} has no attribute {name!r}")
    if module not in MODULES:
        warnings.warn(MESSAGE.format(f"{module}.{name}", f"{place}.{new_name}"), DeprecationWarning, 2)
    return getattr(import_module(f"{__package__}.{place}"), new_name)


class _Finder(MetaPathFinder, Loader):
    """Makes the old modules, and adds moved names to modules that still exist."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if package != __package__:
            return None
        if module == "exercises":
            raise ModuleNotFoundError(
                f"{fullname} lies in notebooks/ now: import exercises where a kernel starts there"
            )
        if module in MODULES:
            return ModuleSpec(fullname, self, is_package=True)
        spec = PathFinder.find_spec(fullname, path) if any(module == old for old, _ in NAMES) else None
        if spec and spec.loader:
            run, look_up = spec.loader.exec_module, partial(_look_up, module)
            spec.loader.exec_module = lambda made: (setattr(made, "__getattr__", look_up), run(made))  # type: ignore
        return spec

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__.partition(".")[2]
        warnings.warn(MESSAGE.format(old, MODULES[old]), DeprecationWarning, 2)
        module.__getattr__ = partial(_look_up, old)  # type: ignore[method-assign]


sys.meta_path.insert(0, _Finder())
