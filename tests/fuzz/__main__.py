"""``python -m tests.fuzz --cases 200000 [--seed S] [--jobs N] [--finds FOLDER]``"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the makers of test data are, as in the suite


@click.command()
@click.option("--cases", default=10_000, help="Files to spoil and read.")
@click.option("--first", default=0, help="Number of the first case.")
@click.option("--seed", default=0, help="Another seed gives other files.")
@click.option("--jobs", default=os.cpu_count() or 1, help="Processes.")
@click.option("--finds", type=click.Path(path_type=Path), help="Folder for the files that went wrong.")
def main(cases: int, first: int, seed: int, jobs: int, finds: Path | None) -> None:
    """Spoils and reads files; exits with 1 if any did what it must not."""
    from tests.fuzz.runner import run

    if finds is not None:
        finds.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    outcome = run(range(first, first + cases), seed, jobs, finds)
    seconds = time.monotonic() - begun
    shown = ", ".join(f"{kind} {count}" for kind, count in outcome.counts.most_common())
    click.echo(f"{cases} files in {seconds:.0f} s ({cases / seconds:.0f} a second): {shown}")
    for case, said in outcome.wrong[:100]:
        click.echo(f"case {case}: {said}", err=True)
    sys.exit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
