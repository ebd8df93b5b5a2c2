"""The optimiser of our training runs: Muon for the weight matrices, Adam for all other parameters.

Muon (K. Jordan et al., 2024; J. Liu et al., arXiv 2502.16982) orthogonalises the update of a matrix before it is
applied, so that all its directions change equally fast. Adam, which the papers on separation use, scales every
parameter separately. Muon's updates are scaled to the size of Adam's, so one learning rate serves both.

Notebook: 05_training
"""

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["MuonAdam"]


class MuonAdam(torch.optim.Optimizer):
    """Muon on the two-dimensional parameters of a model, Adam on the rest, as one optimiser.

    Args:
        model: the model to train; parameters without ``requires_grad`` are left out.
        lr: learning rate of both; a scheduler may change it.
    """

    def __init__(self, model: torch.nn.Module, lr: float):
        parameters = [p for p in model.parameters() if p.requires_grad]
        matrices = [p for p in parameters if p.dim() == 2]
        others = [p for p in parameters if p.dim() != 2]
        super().__init__([{"params": matrices}, {"params": others}], {"lr": lr})
        # Neither takes an empty list: frozen parts may leave no matrices, or nothing but matrices.
        self.muon = (
            torch.optim.Muon(matrices, lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
            if matrices
            else None
        )
        self.adam = torch.optim.Adam(others, lr) if others else None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step of both, at the learning rates that the parameter groups have now."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group, part in zip(self.param_groups, (self.muon, self.adam), strict=True):
            if part is not None:
                for inner in part.param_groups:
                    inner["lr"] = group["lr"]
                part.step()
        return loss

    def state_dict(self) -> dict:
        """Learning rates and the state of both parts."""
        rates = [{k: v for k, v in g.items() if k != "params"} for g in self.param_groups]
        states = {name: None if part is None else part.state_dict() for name, part in self._parts()}
        return {"param_groups": rates, **states}

    def load_state_dict(self, state: dict) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ValueError: the state belongs to other parameters.
        """
        for name, part in self._parts():
            if (part is None) != (state[name] is None):
                raise ValueError(f"the state of {name} belongs to other parameters")
        for group, saved in zip(self.param_groups, state["param_groups"], strict=True):
            group.update(saved)
        for name, part in self._parts():
            if part is not None:
                part.load_state_dict(state[name])

    def _parts(self) -> list[tuple[str, torch.optim.Optimizer | None]]:
        return [("muon", self.muon), ("adam", self.adam)]
