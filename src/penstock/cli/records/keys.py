"""`penstock keys`: API keys of programs."""

from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, say, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.identity.keys import ApiKey


@click.group()
def command() -> None:
    """API keys: the credentials of programs.

    As soon as one exists, nearly everything that a service on the same data folder offers needs one.
    """


@command.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    metavar="ROLE",
    help="decider, viewer, analyst, ...; analyst:payments holds for one detector alone.",
)
@click.option("--expires", metavar="DURATION", help="How long it lasts, such as 90d; for ever unless given.")
@settings("data", "office")
@as_json
def add(name: str, roles: tuple[str, ...], expires: str | None, as_json: bool, **place: str | None) -> None:
    """Create a key and show it, this once. --role may be given several times."""
    from penstock.clock import duration_us, system_clock
    from penstock.identity.keys import Keys
    from penstock.identity.roles import LOCAL
    from penstock.wiring.database import office_of

    until = None if expires is None else system_clock() + duration_us(expires, what="--expires")
    with office_of(settings_from(**place)) as database:
        secret, key = Keys(database).add(name, roles, expires_us=until, who=LOCAL.name)
    if as_json:
        print_json({"secret": secret, "key": key})
    else:
        say(f"the key {key.id} of {name}, for {', '.join(key.roles)}; it is shown this once:")
        click.echo(secret)


@command.command("list")
@settings("data", "office")
@as_json
def show(as_json: bool, **place: str | None) -> None:
    """All keys, by the letters that follow psk_."""
    from penstock.identity.keys import Keys
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        keys = Keys(database).all()
    if as_json:
        print_json(keys)
        return
    show_table([(key.id, key.name, ", ".join(key.roles), _state(key)) for key in keys])


@command.command()
@click.argument("key_id", metavar="ID")
@settings("data", "office")
def revoke(key_id: str, **place: str | None) -> None:
    """Revoke a key; running services apply this within a second."""
    from penstock.identity.keys import Keys
    from penstock.identity.roles import LOCAL
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        Keys(database).revoke(key_id, who=LOCAL.name)
    click.echo(f"{key_id} opens nothing any more")


def _state(key: "ApiKey") -> str:
    from penstock.clock import iso, system_clock

    if key.revoked_us is not None:
        return f"revoked at {iso(key.revoked_us)}"
    if key.expires_us is not None and key.expires_us <= system_clock():
        return f"expired at {iso(key.expires_us)}"
    used = "never used" if key.used_us is None else f"last used at {iso(key.used_us)}"
    return used if key.expires_us is None else f"{used}, expires at {iso(key.expires_us)}"
