"""A second bench for the diagnosis: faults and healthy cases as people from outside bring them.

It was written from the catalogue's table and the documentation, without reading the checks or the first bench, and
shares no code with either. `python tests/diagnosis/second_bench` runs it and writes `README.md` in this folder.

* `case.py`: what a case is, and the list of all; `voices.py`, `networks.py`, `curves.py`: what cases are made of.
* `faults_*.py`: 80 broken projects. `healthy_*.py`: 80 in order.
* `judging.py`: a report against what was expected. `run.py`: the command and the table.
"""
