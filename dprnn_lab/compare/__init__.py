"""A player that compares sounds while they play, and a blind test on top of it.

Both are custom elements of plain JavaScript (``engine.js``, ``player.js``, ``blind_test.js``) in a piece of HTML that
is complete in itself: it works in a live notebook, in a saved one without a kernel, on a static page and in a report.
A notebook widget would need its kernel or its saved state for that, so it is none.

Notebook: 08_evaluation
"""

from .tracks import blind_test_html, checked_sounds, compare_html

__all__ = ["blind_test_html", "checked_sounds", "compare_html"]
