"""`python tests/diagnosis/second_bench`, or `python -m tests.diagnosis.second_bench`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from second_bench.run import main

if __name__ == "__main__":
    sys.exit(main())
