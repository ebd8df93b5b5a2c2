"""Write the tables of the models' card and of the README from the rows of the evaluation.

::

    dprnn-lab evaluate --data unseen,unseen-rooms,test $(printf -- '--model data/model/%s.safetensors ' \
        large small six-voices/large six-voices/small many-voices/large many-voices/small) \
        --baseline mixture --baseline irm --baseline ibm --workers 2 --out runs/card
    cp runs/card/scores.csv runs/card/report.md data/model/evaluation/
    python data/write_card.py

A table stands between ``<!-- table: NAME -->`` and ``<!-- end of table -->``; the text around it is left as it is.
"""

import re

import pandas as pd

from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.evaluation import cluster_bootstrap, clusters_of
from dprnn_lab.evaluation.clusters import voices_of
from dprnn_lab.files import data_folder

EVALUATION = data_folder() / "model" / "evaluation"
FILES = (data_folder() / "model" / "README.md", data_folder().parent / "README.md")
NEW = ["new man-woman", "new woman-woman", "new man-man"]
KNOWN = ["man-woman", "woman-woman", "seen-unseen"]
NETWORKS = {
    "**large**": "model/large", "**small**": "model/small", "six-voices/large": "six-voices/large",
    "six-voices/small": "six-voices/small", "many-voices/large": "many-voices/large",
    "many-voices/small": "many-voices/small",
}  # fmt: skip
BASELINES = {
    "the mixture itself": "mixture", "NMF (told who speaks)": "nmf", "ideal ratio mask": "irm",
    "ideal binary mask": "ibm",
}  # fmt: skip
CLEARLY_DB = 5.0  # SI-SDRi over which a mixture counts as separated


def labels() -> dict[str, tuple[str, ...]]:
    """The clusters of every mixture of the evaluation, by its id."""
    new = FixedMixtures("unseen")
    rooms = {f"room-{spec.id}": voices_of(spec) for spec in new.specs}
    return clusters_of(new) | clusters_of(FixedMixtures("test")) | rooms


def cell(rows: pd.DataFrame, clusters: dict[str, tuple[str, ...]]) -> str:
    """Mean SI-SDRi in dB and its interval, of a cluster bootstrap."""
    found = cluster_bootstrap(rows["si_sdri"], [clusters[name] for name in rows["id"]])
    return " ".join((f"{found.mean:.1f}", f"[{found.low:.1f}, {found.high:.1f}]"))


def markdown(rows: dict[str, list[str]], columns: list[str]) -> str:
    """A table with the rows' names in its first column."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())])


def tables() -> dict[str, str]:
    """Every table by its name."""
    scores, baselines = (pd.read_csv(EVALUATION / f"{name}.csv") for name in ("scores", "baselines"))
    clusters = labels()
    new, known, short = {}, {}, {}
    for name, system in (NETWORKS | BASELINES).items():
        table = scores if name in NETWORKS else baselines
        mine = table[table["system"] == system]
        kinds = {kind: mine[mine["kind"] == kind] for kind in [*NEW, *KNOWN, "in rooms"]}
        strangers = mine[mine["kind"].isin(NEW)]
        if name in NETWORKS:
            over = f"{(strangers['si_sdri'] > CLEARLY_DB).mean():.0%}".replace("%", " %")
            new[name] = [cell(kinds[kind], clusters) for kind in NEW]
            new[name] += [cell(strangers, clusters), over, cell(kinds["in rooms"], clusters)]
            voices = mine[mine["kind"].isin(KNOWN[:2])]
            short[name] = [
                cell(strangers, clusters), cell(kinds["in rooms"], clusters), cell(voices, clusters)
            ]  # fmt: skip
        known[name] = [cell(kinds[kind], clusters) for kind in KNOWN]
    blends = pd.read_csv(EVALUATION.parent / "blend.csv")
    blends = blends[blends["model"] == "small"].sort_values("share")
    averages = {
        name: [f"{value:.1f}" for value in blends[column]]
        for name, column in (("valid", "valid, all"), ("unseen", "unseen, all"))
    }
    return {
        "averages": markdown(averages, [f"{share:g}" for share in blends["share"]]),
        "new people": markdown(new, [*NEW, "all three", "over 5 dB", "in rooms with noise"]),
        "known voices": markdown(known, KNOWN),
        "in short": markdown(
            short, ["new people", "new people in rooms with noise", "voices of the training"]
        ),
    }


def main() -> None:
    """Replace the tables in the files that have them."""
    made = tables()
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for name, table in made.items():
            pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end of table -->)"
            text = re.sub(pattern, rf"\g<1>\n{table}\n\n\g<2>", text, flags=re.DOTALL)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
