"""``python -m agents`` runs the command line ``gfn``."""

from gfn_command import main

main()
