"""The parts of ``record_voices_curve.py``: which voices are drawn, and one run."""
