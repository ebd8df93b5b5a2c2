"""Sentences that state what the code found, checked whenever a notebook runs.

A notebook ends a section with ``claim(f"the other voice is {level:.0f} dB down", level > 10)``. The sentence is shown
as part of the text. For a reader who changed a parameter a claim that does not hold is a finding, and is shown as one.
Where the course itself is run, by ``make notebooks`` and the tests, it ends the notebook and names the sentence to
rewrite.
"""

import os

from IPython.display import Markdown, display

__all__ = ["ENFORCE", "ClaimFails", "claim"]

ENFORCE = "DPRNN_LAB_CLAIMS"  # environment: "all", "small" (a run at test size), or not set (a reader's run)


class ClaimFails(AssertionError):
    """The text says more than this run shows."""


def claim(sentence: str, holds: bool, at_any_size: bool = True) -> None:
    """Show a sentence that this run supports.

    Args:
        sentence: what the text says, with its numbers printed from the code.
        holds: whether this run shows it.
        at_any_size: False for a sentence that needs the full size, so that a small run can't check it.

    Raises:
        ClaimFails: it does not hold, and claims are enforced.
    """
    mode = os.environ.get(ENFORCE, "")
    if not holds and (mode == "all" or (mode == "small" and at_any_size)):
        raise ClaimFails(
            f"the text says {sentence!r}, and this run does not show it: rewrite the sentence, or find out what changed"
        )
    if holds:
        display(Markdown(f"**This run:** {sentence}."))
    else:
        display(Markdown(f"**Not in this run**, at these parameters: that {sentence}."))
