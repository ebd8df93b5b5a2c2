"""Exercises of the notebooks: a card, checks that know the usual mistakes, hints, and the solution last.

Each notebook with exercises has a module here of the same number. A check ends in one of four outcomes:
right, wrong, not attempted (the stub is untouched) or can't be checked (the answer raised an error).
"""

from .exercise import CANT_CHECK, NOT_ATTEMPTED, RIGHT, WRONG, Exercise, Mistake, outcomes

__all__ = ["CANT_CHECK", "NOT_ATTEMPTED", "RIGHT", "WRONG", "Exercise", "Mistake", "outcomes"]
