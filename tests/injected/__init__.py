"""Faults injected for real: kills, signals, full disks, second processes, fuzzed files. ``run.py`` makes the table."""
