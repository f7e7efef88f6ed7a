"""`python -m daemon.cli`: for profilers; everybody else uses the console script."""

from daemon.cli.entry import main

main()
