"""Make the bundled models: average the weights of two networks of which one was fine-tuned from the other.

``data/model/six-voices`` holds networks trained on six voices, ``data/model/many-voices`` the same networks fine-tuned
on hundreds. With a share ``a`` of the second, ``(1 - a) * six + a * many`` can keep much of what each knows: Wortsman
et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT). The share was 0.7 with the first networks of many
voices: the largest that cost the validation mixtures (``data/mixtures/valid.csv``: known voices, in a third of them
with one that is not) no more than 2 dB on average. Later networks keep it as far as a larger one costs these mixtures
more: with the present large they lose as much with 0.85. The mixtures of new voices (``unseen.csv``) are only
measured::

    python data/blend_models.py --unseen    # writes data/model/{small,large}.safetensors and data/model/blend.csv
"""

import argparse
import json
from pathlib import Path

import pandas as pd
import torch
from evaluate_unseen import improvements, stacked
from safetensors import safe_open

from dprnn_lab import load_model, save_model

MODELS = Path(__file__).resolve().parent / "model"
SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)  # and the one that is bundled
SHARE = {"small": 0.7, "large": 0.85}  # of many-voices, in the bundled models


def blend(
    six: dict[str, torch.Tensor], many: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """``(1 - share) * six + share * many``, tensor by tensor: two state dictionaries of one architecture."""
    return {name: torch.lerp(six[name], many[name], share) for name in six}


def scores(model: torch.nn.Module, name: str) -> dict[str, float]:
    """Mean SI-SDRi in dB over a bundled list of mixtures, by kind of pair and over all."""
    mixture, sources, kinds = stacked(name)
    gains = improvements(model, mixture, sources)
    table = {str(kind): float(gains[kinds == kind].mean()) for kind in dict.fromkeys(kinds)}
    return table | {f"{name}, all": float(gains.mean())}


def training_facts(path: Path) -> dict:
    """What a model file says of its training."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["training"])


def make(name: str, lists: list[str]) -> pd.DataFrame:
    """Measure all shares of one size, and write the model of its :data:`SHARE`: the rows for blend.csv."""
    model = load_model(MODELS / "six-voices" / f"{name}.safetensors").eval()
    six = {key: value.clone() for key, value in model.state_dict().items()}
    many = load_model(MODELS / "many-voices" / f"{name}.safetensors").state_dict()
    rows = []
    for share in sorted({*SHARES, SHARE[name]}):
        model.load_state_dict(blend(six, many, share))
        row = {"model": name, "share": share}
        for mixtures in lists:
            row |= scores(model, mixtures)
        rows.append(row)
        print(row, flush=True)
    table = pd.DataFrame(rows)
    model.load_state_dict(blend(six, many, SHARE[name]))
    files = {part: f"{part}/{name}.safetensors" for part in ("six-voices", "many-voices")}
    facts = {part: training_facts(MODELS / file) for part, file in files.items()}
    save_model(
        model,
        MODELS / f"{name}.safetensors",
        {"command": "python data/blend_models.py", "share": SHARE[name]} | facts,
    )
    valid = table.set_index("share")["valid, all"]
    cost = valid[0.0] - valid[SHARE[name]]
    print(
        f"{name}: {SHARE[name]:g} of many-voices costs {cost:.2f} dB on the validation mixtures", flush=True
    )
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
