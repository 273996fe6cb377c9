"""``python -m agents`` runs the command line ``gfn``."""

from agents.cli.main import main

main()
