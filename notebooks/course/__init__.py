"""Graded work: the exercises of the notebooks as an nbgrader course, and an exam with a fault of each student's own.

The lecturer runs ``make course`` (:mod:`course.build`). The cells of an assignment use :func:`given` and :func:`mark`.
"""

from .marking import NotRight, given, mark

__all__ = ["NotRight", "given", "mark"]
