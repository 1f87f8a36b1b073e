"""`penstock models`: model versions, promotion and rollback."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.changes.lifecycle import approvals, say_request
from penstock.cli.options import as_json, print_json, say, settings, show_table
from penstock.cli.training.model_options import challengers, file_of, found_version, open_models, where, who, why
from penstock.cli.training.model_trials import rollout, shadow

if TYPE_CHECKING:
    from penstock.governance.approvals import Request
    from penstock.offline.registry import Registry, RegistryEntry
    from penstock.offline.stages.card import ModelCard


@click.group()
def command() -> None:
    """Model versions: champion, trials, promotion, rollback.

    VERSION is one that `list` shows, its first characters, its number in MLflow, or champion or challenger. A service
    that is running follows within seconds.
    """


@command.command("list")
@where
def list_versions(detector: str | None, as_json: bool, **flags: str | None) -> None:
    """All versions with aliases and test figures."""
    import msgspec

    from penstock.wiring.registries import name_of

    registry = open_models(flags)
    names = registry.detectors() if detector is None else [str(name_of(detector))]
    entries = [entry for name in names for entry in registry.entries(name)]
    if as_json:
        print_json(msgspec.to_builtins(entries))
        return
    if not entries:
        click.echo(f"no models in {_place(registry)}; penstock train DETECTOR --data FILE --save makes one")
        return
    rows = []
    for entry in entries:
        figures = [_figure(entry.figures.get(name)) for name in ("average_precision", "roc_auc")]
        made = entry.created_at[:19].replace("T", " ")
        rows.append((entry.detector, entry.version, entry.number, made, *figures, ", ".join(entry.aliases)))
    head = ("detector", "version", "number", "made at", "avg precision", "ROC AUC", "decides")
    show_table(rows, head, right={4, 5})


@command.command()
@click.argument("version")
@where
def show(version: str, detector: str | None, as_json: bool, **flags: str | None) -> None:
    """One version: members, thresholds, training data, figures."""
    registry, entry, manifest = found_version(version, detector, flags)
    folder = registry.fetch(entry.detector, entry.version)
    if as_json:
        shown = {name: manifest[name] for name in manifest if name not in ("files", "schema", "usual", "encodings")}
        print_json({**shown, "aliases": entry.aliases, "number": entry.number, "folder": str(folder)})
        return
    training = manifest["training"]
    click.echo(f"{entry.detector} {entry.version}{_said(entry)}, made at {entry.created_at}")
    click.echo(f"in {folder}")
    parts = []
    for part, rows in training.get("rows", {}).items():
        period = training["periods"].get(part)
        time = " to ".join(str(each)[:19] for each in period) if isinstance(period, list) else ""
        parts.append((part, f"{rows:,} events,", f"{training['fraud'][part]:,} frauds", time))
    show_table(parts, right={1, 2})
    click.echo(", ".join(f"{name} {value:.4g}" for name, value in manifest["thresholds"].items()))
    total = sum(member["weight"] for member in manifest["members"])
    head = ["", "ensemble", *(member["name"] for member in manifest["members"])]
    figures = [["share", "", *(f"{member['weight'] / total:.3f}" for member in manifest["members"])]]
    metrics = manifest["metrics"]
    for name, value in metrics.get("test", {}).items():
        others = [metrics.get("members", {}).get(member["name"], {}).get(name) for member in manifest["members"]]
        figures.append([name, _figure(value), *map(_figure, others)])
    click.echo()
    show_table(figures, head, right=range(1, len(head)))
    for note in manifest["notes"]:
        click.echo(f"note: {note}")


@command.command()
@click.argument("detector")
@click.argument("version", default="champion", required=False, metavar="[VERSION]")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it as a page.")
@settings("data", "models", "registry", "office")
@as_json
def card(detector: str, version: str, html: Path | None, as_json: bool, **flags: str | None) -> None:
    """The model card of a version, or of the champion: data, figures with intervals, thresholds, segments, limits."""
    import msgspec

    from penstock.errors import BundleError
    from penstock.offline.stages.card import no_card, page, read_card

    registry, entry, _ = found_version(version, detector, flags)
    found = read_card(registry.fetch(entry.detector, entry.version))
    if found is None:
        raise BundleError(no_card(entry.detector, entry.version))
    if html is not None:
        html.write_text(page(found))
        say(f"written: {html}")
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif html is None:
        _show_card(found)


@command.command()
@click.argument("first", required=False)
@click.argument("second", required=False)
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="Of a trial: its newest N days.")
@where
def compare(first: str | None, second: str | None, days: int, detector: str | None, as_json: bool, **flags: str | None) -> None:
    """Two versions side by side, by their tests; without SECOND, a version in trial and the champion.

    A trial is compared over recorded decisions, on the same events: see `penstock trials`.
    """
    from penstock.offline.registry import compare as compare_manifests

    if first is None or second is None:
        _compare_trial(first, detector, flags, days, as_json=as_json)
        return
    found = compare_manifests(found_version(first, detector, flags)[2], found_version(second, detector, flags)[2])
    if as_json:
        print_json(found)
        return
    rows = []
    for name, (left, right) in found["figures"].items():
        change = f"{right - left:+.4f}" if left is not None and right is not None else "-"
        rows.append([name, _figure(left), _figure(right), change])
    for title, table in (("{}", found["thresholds"]), ("share of {}", found["weights"])):
        names = dict.fromkeys(name for each in table for name in each)
        rows += [[title.format(name), *(_figure(each.get(name)) for each in table), ""] for name in names]
    show_table(rows, ["", *found["versions"], "difference"], right={1, 2, 3})
    for which, names in found["features"].items():
        if names:
            click.echo(f"read by the {which.removeprefix('only_')} alone: {', '.join(names)}")
    if not found["same_test"]:
        click.echo("note: measured on different events, so the figures cannot be compared")


@command.command()
@click.argument("version")
@click.option(
    "--as", "alias", type=click.Choice(["champion", "challenger"]), default="champion", help="What it becomes.  [champion]"
)
@who
@why
@where
def promote(version: str, alias: Any, who: str, why: str, detector: str | None, as_json: bool, **flags: str | None) -> None:
    """Promote a version to champion; refused if it does not fit the detector's features.

    A trial of it ends with that. A challenger runs in shadow where events are decided.
    """
    from penstock.offline.registry import promote_to
    from penstock.wiring.registries import detector_named

    registry, entry, _ = found_version(version, detector, flags)
    before = registry.alias(entry.detector, alias)
    if alias == "champion":
        waits = _make_champion(registry, entry.detector, entry.version, detector, flags, who, why)
        if waits is not None:
            print_json(waits) if as_json else say_request(waits)
            return
    else:
        promote_to(registry, detector_named(entry.detector, file_of(detector)), entry.version, alias)
    _moved(entry.detector, alias, before, entry.version, as_json=as_json)


@command.command()
@click.argument("version", required=False)
@who
@why
@where
def rollback(version: str | None, who: str, why: str, detector: str | None, as_json: bool, **flags: str | None) -> None:
    """End the trial of VERSION, or undo the last step.

    Without VERSION the rollout ends; without a rollout, the trial that began last, or if the champion changed later, the
    former champion decides again.
    """
    from penstock.offline.registry import roll_back
    from penstock.wiring.registries import detector_named, name_of

    registry = open_models(flags)
    names = registry.detectors()
    name = name_of(detector) or (names[0] if len(names) == 1 else None)
    if name is None:
        raise click.UsageError(f"there are models of {', '.join(names) or 'no detector'}; say whose: --detector NAME")
    before = registry.alias(name, "champion")
    with challengers(name, detector, flags) as office:
        if office is None:
            after = roll_back(registry, detector_named(name, file_of(detector)))
        else:
            ended = office.rollback(version, who=who, why=why)
            if ended.action == "rollback":
                _ended(name, ended.version, ended.champion, as_json=as_json)
                return
            after = str(ended.champion)
    _moved(name, "champion", before, after, as_json=as_json)


@command.command()
@click.argument("version")
@click.option("--review-at", type=float, required=True, metavar="P", help="Review from this probability on.")
@click.option("--block-at", type=float, required=True, metavar="P", help="Block from this probability on.")
@click.option("--promote", is_flag=True, help="Let the new version decide.")
@who
@why
@where
def thresholds(
    version: str,
    review_at: float,
    block_at: float,
    promote: bool,
    who: str,
    why: str,
    detector: str | None,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Make a version with other thresholds, without training again."""
    from penstock.offline.thresholds import rewrite

    registry, entry, _ = found_version(version, detector, flags)
    registry.fetch(entry.detector, entry.version)
    made = rewrite(registry.folder, entry.detector, entry.version, {"review_at": review_at, "block_at": block_at})
    registry.publish(entry.detector, made)
    if promote:
        waits = _make_champion(registry, entry.detector, made, detector, flags, who, why)
        if waits is not None:
            say_request(waits)
    decides = registry.alias(entry.detector, "champion")
    _say_what_wins(entry.detector, file_of(detector), {"review_at": review_at, "block_at": block_at})
    if as_json:
        print_json({"detector": entry.detector, "version": made, "of": entry.version, "champion": decides})
        return
    click.echo(f"{made} reviews from {review_at:g} and blocks from {block_at:g}; it is {entry.version} otherwise")
    if decides != made:
        click.echo(f"{decides or 'nothing'} still decides; penstock models promote {made} changes that")


# ---------------------------------------------------------------- helpers


def _show_card(card: "ModelCard") -> None:
    """Print a card in short."""
    import msgspec

    from penstock.cli.training.train import show_segments
    from penstock.outcomes import said

    served, at = card.served, card.thresholds
    how = "fitted again on all labelled history" if served.refit else "fitted on the training events"
    click.echo(f"{card.detector} {card.version}, made at {card.created_at}, on {card.data.file}")
    click.echo(f"{how}: {served.rows:,} events, {served.frauds:,} frauds, {' to '.join(each[:10] for each in served.period)}")
    click.echo(f"the figures are of {card.figures_of}")
    rows = [
        (each.name, _figure(each.value), "" if each.low is None else f"{each.low:.4f} to {each.high:.4f}")
        for each in card.figures
    ]
    show_table(rows, ["on the test", "ensemble", "95 % interval"], right={1, 2})
    click.echo(f"review from {at.review_at:.4g}, block from {at.block_at:.4g}, {at.expected_on}")
    for name, rate in (at.expected or {}).items():
        click.echo(f"{name.replace('_', ' ')}: {said(rate)}")
    for name, groups in card.segments.items():
        show_segments(name, msgspec.to_builtins(groups))
    for limit in card.limits:
        click.echo(f"limit: {limit}")
    for note in card.notes:
        click.echo(f"note: {note}")


def _make_champion(
    registry: "Registry", name: str, version: str, detector: str | None, flags: dict[str, str | None], who: str, why: str
) -> "Request | None":
    """Promote a version, and audit it if there is an office; returns a request if it waits for approval."""
    from penstock.offline.registry import promote_to
    from penstock.wiring.registries import detector_named

    with challengers(name, detector, flags) as office:
        if office is None:
            promote_to(registry, detector_named(name, file_of(detector)), version)
            return None
        done = office.promote(version, who=who, why=why)
    return None if isinstance(done, str) else done


def _compare_trial(
    version: str | None, detector: str | None, flags: dict[str, str | None], days: int, *, as_json: bool
) -> None:
    from penstock.cli.changes.trials import show_compared
    from penstock.wiring.registries import name_of

    registry = open_models(flags)
    name = name_of(detector)
    if version is not None:
        entry = found_version(version, detector, flags)[1]
        name, version = entry.detector, entry.version
    if name is None:
        names = registry.detectors()
        if len(names) != 1:
            raise click.UsageError(f"there are models of {', '.join(names) or 'no detector'}; say whose: --detector NAME")
        name = names[0]
    show_compared(file_of(detector) or name, "model", version, days, flags, as_json=as_json)


def _ended(detector: str, version: str, champion: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"detector": detector, "rolled_back": version, "champion": champion})
    else:
        click.echo(f"{version} of {detector} is tried no more; {champion or 'nothing'} decides")


def _say_what_wins(name: str, file: str | None, wanted: dict[str, float]) -> None:
    """Print a note that the detector's policy overrides a version's thresholds."""
    from penstock.errors import ConfigurationError
    from penstock.wiring.registries import detector_named

    try:
        policy = detector_named(name, file).policy
    except ConfigurationError:  # not installed here, so it is unknown
        return
    held = {each: value for each in wanted if (value := getattr(policy, each)) not in (None, wanted[each])}
    if held:
        said = " and ".join(f"{each}={value:g}" for each, value in held.items())
        say(f"note: the policy of {name} holds {said}, which wins over every version: leave it out of the detector for these")


def _place(registry: "Registry") -> str:
    return str(getattr(registry, "uri", registry.folder))


def _moved(detector: str, alias: str, before: str | None, after: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"detector": detector, alias: after, "before": before})
    elif before == after:
        click.echo(f"{after} is the {alias} of {detector} already")
    else:
        click.echo(f"{after} is the {alias} of {detector} now; before it {before or 'there was none'}")


def _said(entry: "RegistryEntry") -> str:
    number = "" if entry.number is None else f", number {entry.number}"
    return number + "".join(f", {alias}" for alias in entry.aliases)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


command.add_command(approvals)
command.add_command(shadow)
command.add_command(rollout)
