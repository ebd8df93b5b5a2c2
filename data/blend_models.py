"""Make the bundled models: average the weights of two networks of which one was fine-tuned from the other.

``data/model/six-voices`` holds networks trained on six voices, ``data/model/many-voices`` the same networks fine-tuned
on 313. With a share ``a`` of the second, ``(1 - a) * six + a * many`` keeps most of what each knows: Wortsman et al.
2022, "Robust fine-tuning of zero-shot models" (WiSE-FT). The share is the largest for which the validation mixtures
of the six voices (``data/mixtures/valid.csv``) lose no more than 2 dB on average; the mixtures of new voices
(``unseen.csv``) do not choose it, they are only measured::

    python data/blend_models.py --unseen    # writes data/model/{small,large}.safetensors and data/model/blend.csv
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from evaluate_unseen import improvements
from safetensors import safe_open

from dprnn_lab import load_model, save_model
from dprnn_lab.datasets import FixedMixtures

MODELS = Path(__file__).resolve().parent / "model"
SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
MOST_LOSS_DB = 2.0  # of the mean over valid.csv


def blend(
    six: dict[str, torch.Tensor], many: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """``(1 - share) * six + share * many``, tensor by tensor: two state dictionaries of one architecture."""
    return {name: torch.lerp(six[name], many[name], share) for name in six}


def scores(model: torch.nn.Module, name: str) -> dict[str, float]:
    """Mean SI-SDRi in dB over a bundled list of mixtures, by kind of pair and over all."""
    mixtures = FixedMixtures(name)
    both = [mixtures[index][:2] for index in range(len(mixtures))]
    mixture, sources = (torch.stack(part) for part in zip(*both, strict=True))
    gains = improvements(model, mixture, sources)
    kinds = np.array([spec.kind for spec in mixtures.specs])
    table = {str(kind): float(gains[kinds == kind].mean()) for kind in dict.fromkeys(kinds)}
    return table | {f"{name}, all": float(gains.mean())}


def training_facts(path: Path) -> dict:
    """What a model file says of its training."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["training"])


def best_share(table: pd.DataFrame) -> float:
    """The largest share that costs the validation mixtures no more than ``MOST_LOSS_DB``."""
    kept = table["valid, all"] >= table.loc[table["share"] == 0, "valid, all"].item() - MOST_LOSS_DB
    return float(table.loc[kept, "share"].max())


def make(name: str, lists: list[str]) -> pd.DataFrame:
    """Measure all shares of one size, and write the model with the best one: the rows for blend.csv."""
    model = load_model(MODELS / "six-voices" / f"{name}.safetensors").eval()
    six = {key: value.clone() for key, value in model.state_dict().items()}
    many = load_model(MODELS / "many-voices" / f"{name}.safetensors").state_dict()
    rows = []
    for share in SHARES:
        model.load_state_dict(blend(six, many, share))
        row = {"model": name, "share": share}
        for mixtures in lists:
            row |= scores(model, mixtures)
        rows.append(row)
        print(row, flush=True)
    table = pd.DataFrame(rows)
    share = best_share(table)
    model.load_state_dict(blend(six, many, share))
    files = {part: f"{part}/{name}.safetensors" for part in ("six-voices", "many-voices")}
    facts = {part: training_facts(MODELS / file) for part, file in files.items()}
    save_model(
        model,
        MODELS / f"{name}.safetensors",
        {"command": "python data/blend_models.py", "share": share} | facts,
    )
    print(f"{name}: {share:g} of many-voices", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--unseen", action="store_true", help="measure the mixtures of new voices too")
    parser.add_argument("--model", action="append", choices=("small", "large"), help="both without it")
    options = parser.parse_args()
    lists = ["valid", "unseen"] if options.unseen else ["valid"]
    tables = [make(name, lists) for name in options.model or ("small", "large")]
    file = MODELS / "blend.csv"
    old = [pd.read_csv(file)] if file.is_file() else []
    table = pd.concat([*old, *tables]).drop_duplicates(["model", "share"], keep="last")
    table.round(2).sort_values(["model", "share"]).to_csv(file, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
