"""The catalogue as one page to print: symptoms in, causes and remedies out.

    dprnn-lab checklist > notebooks/checklist.md

Notebook: 06_failures_at_inference
"""

from .catalogue import CATALOGUE, GROUPS

__all__ = ["checklist"]

HEAD = """# Why does it not separate? A checklist

From top to bottom: what stands higher can cause what stands lower. The machine goes through the same list:
`dprnn-lab diagnose --checkpoint model.ckpt --mixture talk.wav`, or `diagnose(...)` in Python. Each name leads to
the scene in which the failure is made, heard and mended.
"""


def checklist() -> str:
    """Markdown, made from :data:`~dprnn_lab.diagnosis.catalogue.CATALOGUE` and nothing else."""
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
