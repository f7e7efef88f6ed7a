"""`python -m daemon.cli`: for profilers; everybody else uses the console script."""

from daemon.cli.main import main

main()
