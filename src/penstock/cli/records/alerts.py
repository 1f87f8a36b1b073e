"""`penstock alerts`: alert rules in force, channel tests and the delivery log."""

from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, print_json, say, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.alerts import AlertDeclarations, Kind
    from penstock.detector import Detector


@click.group()
def command() -> None:
    """Alerts: rules, channels, the log.

    Rules over decisions, and the channels that carry alerts, are in penstock.toml, or in the file that the setting
    alerts names; --alerts defaults shows the rules that come with Penstock and with the detectors.
    """


@command.command("list")
@click.argument("detectors", nargs=-1, metavar="[DETECTOR]...")
@settings("alerts")
@as_json
def list_rules(detectors: tuple[str, ...], as_json: bool, **flags: str | None) -> None:
    """Check the file, and show the rules in force and the channels; for these detectors, if any are named."""
    loaded, declared = _declared(detectors, flags)
    for left_out in _about_others(loaded, declared):
        say(left_out)
    shown = [rule for rule in declared.rules if not rule.off]
    if as_json:
        import msgspec

        rules = [{key: value for key, value in rule.items() if key != "file"} for rule in msgspec.to_builtins(shown)]
        print_json({"rules": rules, "channels": {name: _kind(t) for name, t in declared.channels.items()}})
        return
    whose = ", ".join(detector.name for detector in loaded)
    click.echo(f"{len(shown)} rules" + (f", checked against {whose}" if whose else ""))
    names = [rule.name + (f" ({rule.detector})" if rule.detector else "") for rule in shown]
    show_table([(name, rule.severity, _said(rule)) for name, rule in zip(names, shown, strict=True)], indent=2)
    for name, table in declared.channels.items():
        click.echo(f"channel {name}: {_kind(table)}, from {table.get('severity', 'its usual severity')} on")
    if not declared.channels:
        click.echo("no channels: alerts are shown on live pages and at GET /alerts")


@command.command()
@click.argument("channels", nargs=-1, metavar="[CHANNEL]...")
@settings("alerts")
@as_json
def test(channels: tuple[str, ...], as_json: bool, **flags: str | None) -> None:
    """Send one sample through each channel (or those named) and show the result.

    Exit 1 if one did not accept it.
    """
    import secrets

    from penstock.alerts import Undelivered, sample
    from penstock.clock import iso, system_clock
    from penstock.errors import did_you_mean
    from penstock.wiring.alerts import open_channels

    if not settings_from(**flags).deliver:
        raise click.UsageError("the setting deliver is false: nothing is sent; set PENSTOCK_DELIVER=true for this command")
    _, declared = _declared((), flags)
    opened = {channel.name: channel for channel in open_channels(declared)}
    for name in channels:
        if name not in opened:
            raise click.UsageError(f"there is no channel {name!r}.{did_you_mean(name, opened)}")
    alert = sample("test", iso(system_clock()), f"test:{secrets.token_hex(8)}")
    found: list[dict[str, Any]] = []
    for name in channels or opened:
        try:
            found.append({"channel": name, "delivered": True, "detail": opened[name].send(alert)})
        except Undelivered as error:
            found.append({"channel": name, "delivered": False, "detail": str(error)})
        if not as_json:
            click.echo(f"{'ok ' if found[-1]['delivered'] else 'BAD'}  {name:<16} {found[-1]['detail']}")
    if as_json:
        print_json(found)
    elif not found:
        click.echo("no channels are declared; docs/guide/alerts.md shows how")
    if not all(each["delivered"] for each in found):
        raise click.exceptions.Exit(1)


@command.command()
@click.argument("detector", required=False, metavar="[DETECTOR]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, help="How many.  [20]")
@settings("data", "ledger", "ledger_log")
@as_json
def log(detector: str | None, limit: int, as_json: bool, **flags: str | None) -> None:
    """The newest alerts, with the deliveries of each; also while a service is running."""
    import msgspec

    from penstock.alerts import alert_of
    from penstock.wiring.registries import name_of
    from penstock.wiring.stores import ledger_to_read

    name = name_of(detector)
    with ledger_to_read(settings_from(**flags), name) as ledger:
        raised = ledger.tables.alerts(name, limit=limit)
        found = [(alert_of(each.body), ledger.tables.deliveries(each.key)) for each in raised]
    if as_json:
        print_json([{**msgspec.to_builtins(alert), "deliveries": msgspec.to_builtins(ways)} for alert, ways in found])
        return
    for alert, ways in found:
        click.echo(f"{alert.at[:19].replace('T', ' ')}  {alert.title}")
        for way in ways:
            click.echo(f"    {way.channel}: {way.outcome} ({way.attempts} attempts) {way.detail}")
    if not found:
        click.echo("no alerts have been raised here")


def _declared(names: tuple[str, ...], flags: dict[str, str | None]) -> "tuple[list[Detector], AlertDeclarations]":
    from penstock.alerts import evaluators
    from penstock.wiring.alerts import declared_alerts, open_channels
    from penstock.wiring.detectors import load_detectors

    loaded = list(load_detectors(names)) if names else []
    declared = declared_alerts(settings_from(**flags), loaded)
    if declared is None:
        raise click.UsageError("no alerts are declared: name a file with --alerts FILE, or --alerts defaults")
    evaluators(loaded, declared.rules, dict, limit=declared.limit)
    open_channels(declared)
    return loaded, declared


def _about_others(loaded: "list[Detector]", declared: "AlertDeclarations") -> list[str]:
    from penstock.wiring.alerts import about_others

    return about_others(declared, loaded) if loaded else []


def _kind(table: Any) -> str:
    return str(table.get("kind"))


def _said(rule: "Kind") -> str:
    """The rule in one line."""
    from penstock.alerts import Burst, Condition, Gauge, RateRule
    from penstock.alerts.rule import fields_of

    if isinstance(rule, Gauge):
        return f"{rule.metric} {'grows by' if rule.within else 'is'} more than {rule.more_than:g}" + (
            f" within {rule.within}" if rule.within else ""
        )
    if isinstance(rule, RateRule):
        limit = f"{rule.times:g} times its share of {rule.reference}" if rule.times else f"{rule.above:.1%}"
        return f"share of {rule.when} within {rule.within} above {limit}"
    per = f" by {', '.join(fields_of(rule.per))}" if rule.per else ""
    if isinstance(rule, Burst):
        what = f"different {rule.distinct}" if rule.distinct else "decisions"
        return f"more than {rule.more_than} {what}{per} within {rule.within}" + (f" with {rule.when}" if rule.when else "")
    assert isinstance(rule, Condition)
    return f"{rule.when}{per}"
