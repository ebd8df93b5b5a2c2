"""Exercises of the notebooks: cards, checks that recognise the usual mistakes, hints, and solutions.

Each notebook with exercises has a teacher's sheet here, ``nbNN.md``, and a module with the checks, ``nbNN.py``.
An answer is judged as right, wrong, not attempted (the stub is unchanged) or can't be checked (it raised an error).
"""

from .exercise import CANT_CHECK, NOT_ATTEMPTED, RIGHT, WRONG, Exercise, Mistake, Verdict, outcomes

__all__ = ["CANT_CHECK", "NOT_ATTEMPTED", "RIGHT", "WRONG", "Exercise", "Mistake", "Verdict", "outcomes"]
