"""`penstock users`: users and their roles."""

import sys
from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.identity.users import User

_name = click.argument("name")
_roles = click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    metavar="ROLE",
    help="viewer, analyst, approver, ...; analyst:payments holds for one detector alone.",
)
_from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, not from the terminal."
)


@click.group()
def command() -> None:
    """Users who may sign in, and their roles."""


@command.command()
@_name
@_roles
@_from_stdin
@settings("data", "office")
@as_json
def add(name: str, roles: tuple[str, ...], password_stdin: bool, as_json: bool, **place: str | None) -> None:
    """Add a user; prompts for the password. --role may be given several times."""
    from penstock.identity.roles import LOCAL, known_roles
    from penstock.identity.users import Users
    from penstock.wiring.database import office_of

    known_roles(roles)  # fail before prompting for a password
    password = _password(from_stdin=password_stdin)
    with office_of(settings_from(**place)) as database:
        added = Users(database).add(name, password, roles, who=LOCAL.name)
    if as_json:
        print_json(added)
    else:
        click.echo(f"{added.name} may sign in as {', '.join(added.roles)}")


@command.command("list")
@settings("data", "office")
@as_json
def show(as_json: bool, **place: str | None) -> None:
    """All users, with roles."""
    from penstock.identity.users import Users
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        people = Users(database).all()
    if as_json:
        print_json(people)
        return
    show_table([(person.name, ", ".join(person.roles), _state(person)) for person in people])


@command.command("roles")
@_name
@_roles
@settings("data", "office")
def set_roles(name: str, roles: tuple[str, ...], **place: str | None) -> None:
    """Set the roles of a user, in place of those before; running sessions have them within a second."""
    from penstock.identity.roles import LOCAL
    from penstock.identity.users import Users
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        changed = Users(database).change(name, roles=roles, who=LOCAL.name)
    click.echo(f"{changed.name} has the roles {', '.join(changed.roles)} from now on")


@command.command()
@_name
@settings("data", "office")
def disable(name: str, **place: str | None) -> None:
    """Disable a user; their sessions end within a second."""
    from penstock.identity.roles import LOCAL
    from penstock.identity.users import Users
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        Users(database).disable(name, who=LOCAL.name)
    click.echo(f"{name} may sign in no more")


@command.command("sign-out")
@_name
@settings("data", "office")
def sign_out(name: str, **place: str | None) -> None:
    """End all sessions of a person, also those through an identity provider (oidc:NAME), within a second."""
    from penstock.identity.roles import LOCAL
    from penstock.identity.users import Users
    from penstock.wiring.database import office_of

    with office_of(settings_from(**place)) as database:
        ended = Users(database).sign_out_everywhere(name, who=LOCAL.name)
    click.echo(f"{ended} sessions of {name} have ended")


@command.command()
@_name
@_from_stdin
@settings("data", "office")
def password(name: str, password_stdin: bool, **place: str | None) -> None:
    """Set a user's password; prompts for it. Sessions with the old one end."""
    from penstock.identity.roles import LOCAL
    from penstock.identity.users import Users
    from penstock.wiring.database import office_of

    given = _password(from_stdin=password_stdin)
    with office_of(settings_from(**place)) as database:
        Users(database).set_password(name, given, who=LOCAL.name)
    click.echo(f"{name} signs in with the new password from now on")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _state(person: "User") -> str:
    from penstock.clock import iso

    return f"since {iso(person.created_us)}" if person.disabled_us is None else f"disabled at {iso(person.disabled_us)}"
