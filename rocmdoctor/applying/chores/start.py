"""Starts a chore: `python -I -B start.py NAME JSON`. In isolated mode nothing but the standard library is found."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from rocmdoctor.applying.chores.main import main

sys.exit(main(sys.argv[1:]))
