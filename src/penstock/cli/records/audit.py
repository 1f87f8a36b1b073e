"""`penstock audit`: the audit log and its verification."""

import click

from penstock.cli.options import as_json, print_json, settings, settings_from, show_table


@click.group()
def command() -> None:
    """The audit log: who changed what and when; verification."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, metavar="N", help="Most entries shown.  [50]")
@click.option("--before", type=click.IntRange(1), metavar="SEQ", help="Only entries before this one: the next page.")
@click.option("--who", metavar="NAME", help="Only what this user or key did.")
@click.option("--action", metavar="ACTION", help="Only this kind of change, such as keys.add.")
@click.option("--subject", metavar="SUBJECT", help="Only changes of this, such as users/ana.")
@settings("data", "office")
@as_json
def show(
    limit: int, before: int | None, who: str | None, action: str | None, subject: str | None, as_json: bool, **place: str | None
) -> None:
    """Audit entries, newest first."""
    import msgspec

    from penstock.audit import AuditLog
    from penstock.clock import iso
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        entries = AuditLog(database).entries(limit, before, who, action, subject)
    if as_json:
        print_json(entries)
        return
    details = ["(erased)" if each.details is None else msgspec.json.encode(each.details).decode() for each in entries]
    rows = [(each.seq, iso(each.at_us), each.who, each.action, each.subject) for each in entries]
    show_table([(*row, text) for row, text in zip(rows, details, strict=True)], right={0})


@command.command()
@settings("data", "office")
@as_json
def verify(as_json: bool, **place: str | None) -> None:
    """Check that no entry was changed, removed or inserted. Exit 1 if one was.

    Keep the head that this prints: nobody who replaces the whole log can make a new one with the same head.
    """
    from penstock.audit import AuditLog
    from penstock.clock import iso
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        log = AuditLog(database)
        broken, head, erasures = log.verify(), log.head(), log.erasures()
    if as_json:
        print_json({"whole": broken is None, "broken": broken, "head": head, "erased": erasures})
    else:
        for erasure in erasures:
            entries = ", ".join(map(str, erasure.entries)) or "none"
            click.echo(f"{erasure.who} erased the details of {erasure.subject} at {iso(erasure.at_us)}: entries {entries}")
        if broken is None:
            click.echo(f"whole: {head.seq} entries, head {head.hash or 'none'}")
        else:
            click.echo(f"broken at entry {broken.seq}: {broken.reason}")
    if broken is not None:
        raise click.exceptions.Exit(1)
