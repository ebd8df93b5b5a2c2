"""The table of the second bench, as Markdown."""

from collections.abc import Callable

from .judging import Verdict

__all__ = ["missed_goals", "render"]

AT_ALL, FIRST = 0.95, 0.85  # of the faults


def _share(verdicts: list[Verdict], holds: Callable[[Verdict], bool]) -> tuple[int, int]:
    return sum(map(holds, verdicts)), len(verdicts)


def missed_goals(verdicts: list[Verdict]) -> list[str]:
    """Which goals are missed, in words."""
    faults = [v for v in verdicts if not v.case.healthy]
    missed = []
    for words, goal, holds in (
        ("named at all", AT_ALL, lambda v: v.found),
        ("named first", FIRST, lambda v: v.found_first),
    ):
        number, of = _share(faults, holds)
        if number < goal * of:
            missed.append(f"{words}: {number} of {of}, the goal is {goal:.0%}")
    for words, holds in (
        ("healthy cases with a failure", lambda v: v.false_failure),
        ('broken cases with an unqualified "nothing wrong"', lambda v: v.silent),
        ("crashes", lambda v: bool(v.crash)),
        ("models left changed", lambda v: bool(v.changed)),
    ):
        number, _ = _share(verdicts, holds)
        if number:
            missed.append(f"{words}: {number}, the goal is none")
    return missed


def render(verdicts: list[Verdict], known_voices: bool) -> str:
    """The whole page."""
    faults = [v for v in verdicts if not v.case.healthy]
    healthy = [v for v in verdicts if v.case.healthy]
    voices = "the bundled test voices" if known_voices else "voices that none of the bundled networks knows"
    lines = [
        "# A second bench, from outside",
        "",
        "Written by `make bench-diagnosis` (`python tests/diagnosis/second_bench`). Its cases were made from the "
        "catalogue and the documentation, without reading the checks: projects in the form of Asteroid, SpeechBrain "
        f"and hand-written code. This table: {voices}.",
        "",
        "| | goal | measured |",
        "|---|---|---|",
    ]
    for words, goal, group, holds in (
        ("faults named at all", "95 %", faults, lambda v: v.found),
        ("faults named first", "85 %", faults, lambda v: v.found_first),
        ("healthy cases with a false failure", "0", healthy, lambda v: v.false_failure),
        ("healthy cases with a warning", "few", healthy, lambda v: bool(v.named) and not v.failed),
        ('broken cases with an unqualified "nothing wrong"', "0", faults, lambda v: v.silent),
        ("cases in which `diagnose` raised an exception", "0", verdicts, lambda v: bool(v.crash)),
        ("cases that left the user's model changed", "0", verdicts, lambda v: bool(v.changed)),
    ):
        number, of = _share(group, holds)
        percent = f"{number / of:.1%} " if of and goal.endswith("%") else ""
        lines.append(
            f"| {words} | {goal} | {percent}{'(' if percent else ''}{number} of {of}{')' if percent else ''} |"
        )
    lines += [
        "",
        "## Broken",
        "",
        "| group | case | right answers | first | all that was named |",
        "|---|---|---|---|---|",
    ]
    for v in faults:
        mark = "" if v.found_first else " (2)" if v.found else " **missed**"
        said = f"**raised** {_cell(v.crash)}" if v.crash else ", ".join(v.named) or "–"
        right = ", ".join(f"`{name}`" for name in v.case.expect)
        lines.append(f"| {v.case.group} | {v.case.name} | {right} | {v.first or '–'}{mark} | {said} |")
    lines += [
        "", "(2): named, but another came first.", "",
        "## Healthy", "", "| group | case | failures | warnings |", "|---|---|---|---|",
    ]  # fmt: skip
    for v in healthy:
        failed = f"**raised** {_cell(v.crash)}" if v.crash else ", ".join(f"**{n}**" for n in v.failed) or "–"
        warned = ", ".join(n for n in v.named if n not in v.failed) or "–"
        lines.append(f"| {v.case.group} | {v.case.name} | {failed} | {warned} |")
    changed = [v for v in verdicts if v.changed]
    if changed:
        lines += ["", "## Models left changed", ""]
        lines += [f"* {v.case.name}: {', '.join(v.changed[:3])} and {len(v.changed)} in all" for v in changed]
    missed = missed_goals(verdicts)
    lines += ["", "## Goals missed", "", *([f"* {words}" for words in missed] or ["None."])]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
