"""`tidegauge bench`: measure this machine."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import orjson
import typer

from daemon.cli.app import Json, app, errors, fail

bench_app = typer.Typer(no_args_is_help=True, help="Measure this machine.")
app.add_typer(bench_app, name="bench")


@bench_app.command()
def throughput(
    series: Annotated[int, typer.Option(help="Number of series.", min=1)] = 10_000,
    slots: Annotated[int, typer.Option(help="Slots over which the rate is measured.", min=1)] = 200,
    as_json: Json = False,
) -> None:
    """Readings per second from file to committed events, journal on, after 14 days of history."""
    from daemon.bench import throughput as measure

    with errors(), tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as directory:
        try:
            found = measure(Path(directory), series, slots, lambda line: typer.echo(line, err=True))
        except subprocess.CalledProcessError as error:
            fail(f"{' '.join(error.cmd)} ended with {error.returncode}: {error.output}")
    if as_json:
        typer.echo(orjson.dumps(found.to_json()).decode())
        return
    typer.echo(
        f"{found.readings_per_second:,.0f} readings/s over {found.readings:,} readings of {found.series:,} series"
    )
    typer.echo(f"{found.ratio:.1f} times river HalfSpaceTrees on one series ({found.peer_readings_per_second:,.0f}/s)")
    typer.echo(f"{found.peak_bytes / 2**20:,.0f} MiB at most, {found.bytes_per_series:,} bytes of state a series")
    typer.echo(f"train --from: {found.history_readings:,} readings in {found.train_seconds:.1f} s")
    for phase, share in sorted(found.phases.items(), key=lambda item: -item[1]):
        typer.echo(f"  {100 * share:4.1f} %  {phase}")
