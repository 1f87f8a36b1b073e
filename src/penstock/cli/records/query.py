"""`penstock query`: SQL over recorded decisions."""

from datetime import datetime
from pathlib import Path

import click

from penstock.cli.options import as_json, instant, print_json, say, settings, settings_from


@click.command()
@click.argument("sql")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write .parquet, .csv or .ndjson.")
@click.option("--since", type=instant, metavar="T", help="Of an archive, only the hours of arrival from this one (UTC).")
@click.option("--until", type=instant, metavar="T", help="Of an archive, only the hours of arrival before this time (UTC).")
@settings("data", "ledger", "ledger_log", "archive")
@as_json
def command(
    sql: str,
    out: Path | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Answer one SELECT over everything that was decided.

    Views: decisions, labels, informing, loaded, quarantine, and one per detector. The SQL is DuckDB's; times are UTC. With
    --archive, what was archived is asked, else the ledger of the data folder (of --ledger, where it is in a database).

    \b
    penstock query "select decision, count(*) from decisions group by all"
    penstock query "select * from banking where amount > 1000 order by event_time desc limit 10"
    """  # noqa: D301 -- click's mark for lines that are kept as they are
    from penstock.wiring.engines import open_archive
    from penstock.wiring.stores import open_object_archive
    from penstock.wiring.traffic.events import write_frame

    chosen = settings_from(**flags)
    archived = flags["archive"] is not None
    with open_object_archive(chosen, since, until) if archived else open_archive(chosen) as archive:
        frame = archive.query(sql)
    if out is not None:
        write_frame(frame, out)
        say(f"{len(frame):,} rows in {out}")
    elif as_json:
        print_json(frame.to_dicts())
    else:
        import polars as pl

        with pl.Config(
            tbl_rows=50, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, fmt_str_lengths=60
        ):
            click.echo(str(frame))
        if len(frame) > 50:
            say(f"the first and last of {len(frame):,} rows; --out FILE writes all of them")
