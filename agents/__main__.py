"""``python -m agents`` is ``gfn``."""

from agents.cli.main import main

main()
