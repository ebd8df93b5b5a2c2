"""The catalogue as one page to print: symptoms in, causes and remedies out.

    dprnn-lab checklist > notebooks/checklist.md

Notebook: 06_failures_at_inference
"""

from .catalogue import CATALOGUE, GROUPS

__all__ = ["checklist"]

HEAD = """# Why does it not separate? A checklist

Work from top to bottom: an entry can cause those below it. `diagnose(...)` in Python, or
`dprnn-lab diagnose --checkpoint model.ckpt --mixture talk.wav`, checks the same list. Each name links to the
notebook section that reproduces the failure, plays it and fixes it.
"""


def checklist() -> str:
    """Markdown, made from :data:`~dprnn_lab.diagnosis.catalogue.CATALOGUE` alone."""
    lines = [HEAD]
    for group, title in GROUPS.items():
        lines += [
            f"## {group}. {title}\n",
            "| ☐ | what you see or hear | look at | then |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| ☐ [`{e.id}`]({e.section.removeprefix('notebooks/')}) | {e.sign} | {e.evidence} | {e.remedy} |"
            for e in CATALOGUE.values()
            if e.group == group
        ]
        lines.append("")
    return "\n".join(lines)
