"""Remix consistency against SI-SDRi, by list: where `dprnn_lab/diagnosis/checks/recording.py` may draw its limits.

::

    python data/measure_consistency.py [--model small] [--limit 12]     # mixtures of each kind, at most 40

A row per group: mixtures that the model separates (SI-SDRi of 5 dB and more) and those that it does not (under 3 dB),
of known voices, new people, and new people in rooms with noise.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from dprnn_lab import load_model
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.datasets.in_rooms import InRooms
from dprnn_lab.diagnosis.checks.recording import LOW_DB, UNLIKE_DB
from dprnn_lab.diagnosis.control import Control
from dprnn_lab.diagnosis.remix_consistency import remix_consistency
from dprnn_lab.evaluation import score

SEPARATED_DB, LOST_DB = 5.0, 3.0  # SI-SDRi


def rows(model: torch.nn.Module, limit: int) -> Iterator[dict]:
    """List, SI-SDRi and remix consistency of every mixture, in dB."""
    new = FixedMixtures("unseen", limit=limit)
    lists = {
        "known": FixedMixtures("test", limit=limit),
        "new": new,
        "rooms": InRooms(new, count=len(new) // 2),
    }
    for name, mixtures in lists.items():
        for mixture, sources, _ in mixtures:
            with torch.no_grad():
                gain = score(model(mixture), sources, mixture)["si_sdri"]
            yield {"list": name, "gain": gain, "consistency": remix_consistency(model, mixture[None]).score}


def main() -> None:
    """Print quantiles of the consistency by list and result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="small", help="what load_model opens")
    parser.add_argument("--limit", type=int, default=12, help="mixtures of each kind")
    options = parser.parse_args()
    model = load_model(options.model).eval()
    control = Control(model, {})
    print(f"control: consistency {control.remix.score:.1f} dB, SI-SDRi {control.improvement:.1f} dB")
    table = pd.DataFrame(rows(model, options.limit))
    table["result"] = np.select(
        [table["gain"] >= SEPARATED_DB, table["gain"] < LOST_DB], ["separated", "not separated"], "between"
    )
    shown = table.groupby(["list", "result"])["consistency"].describe(percentiles=[0.05, 0.1, 0.5, 0.9, 0.95])
    print(shown.round(1).to_string())
    limit = min(LOW_DB, control.remix.score - UNLIKE_DB)
    table["below"] = table["consistency"] < limit
    share = table[table["result"] != "between"].groupby(["result", "list"])["below"].agg(["size", "mean"])
    print(f"\nshare under the limit of {limit:.1f} dB, of the separated and of the others:")
    print(share.round(2).to_string())


if __name__ == "__main__":
    main()
