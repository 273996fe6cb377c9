"""Published experiments. ``python -m examples.papers.NAME`` finds the modules that the scripts share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
