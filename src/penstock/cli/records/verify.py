"""`penstock verify`: recomputes a recorded decision, or a sample of them, and compares."""

import time
from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, settings, settings_from

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.engine import SampleVerification


@click.command()
@click.argument("transaction_id", metavar="[ID]", required=False)
@click.option(
    "--detector", metavar="DETECTOR", help="Who decided: a name, or FILE.py; found in the data folder if it is installed."
)
@click.option(
    "--sample", metavar="N", type=click.IntRange(min=1), help="So many decisions at random, in one pass over the log."
)
@click.option("--whole-log", is_flag=True, help="Replay all events before it, also where those of its keys would do.")
@settings("data", "models", "ledger", "ledger_log", "office")
@as_json
def command(
    transaction_id: str | None,
    detector: str | None,
    sample: int | None,
    whole_log: bool,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Recompute a recorded decision: identical or not.

    The state of that moment is restored from the log before it: from the events of its keys, where the data folder has
    an index of them, else from all; exit 0 only when everything is identical to the last bit. Erased personal fields of the
    transaction are reported, and change nothing else. --sample takes decisions from the whole log instead, and exits 0 only
    when all of them are identical.
    """
    if (transaction_id is None) == (sample is None):
        raise click.UsageError("name the transaction, or how many to take: penstock verify ID, penstock verify --sample N")
    settings = settings_from(**flags)
    identical = (
        _verify(settings, transaction_id, detector, whole_log=whole_log, as_json=as_json)
        if transaction_id is not None
        else _verify_sample(settings, sample or 1, detector, as_json=as_json)
    )
    if not identical:
        raise click.exceptions.Exit(1)


def _verify(settings: "Settings", transaction_id: str, detector: str | None, *, whole_log: bool, as_json: bool) -> bool:
    from penstock.clock import iso
    from penstock.engine import verify
    from penstock.engine.keys.index import KeyIndex
    from penstock.wiring.engines import recorded_decisions
    from penstock.wiring.governance import list_at
    from penstock.wiring.personal import erasure_of

    with recorded_decisions(settings, transaction_id, detector) as (loaded, ledger):
        index = None if whole_log else KeyIndex.of(ledger, loaded, read_only=True)
        lists = list_at(loaded, settings)
        found = verify(ledger, loaded, transaction_id, settings.models_folder, list_at=lists, index=index)
        log_events = ledger.next_seq
        erasure = erasure_of(transaction_id, loaded, ledger, settings)
    erased = None if erasure is None else {"at": iso(erasure.at_us), "by": erasure.who}
    differences = [{"column": name, "recorded": before, "recomputed": after} for name, before, after in found.differences]
    if as_json:
        rebuilt = {"events": found.events_replayed, "way": found.way, "log_events": log_events}
        text = {"transaction_id": transaction_id, "identical": found.identical, **rebuilt, "differences": differences}
        print_json(text | {"erased": erased})
    elif found.identical and found.way == "keys":
        events = f"{found.events_replayed:,} events of its keys, of {log_events:,} in the log"
        click.echo(f"{transaction_id} is identical, recomputed after {events}")
    elif found.identical:
        click.echo(f"{transaction_id} is identical, recomputed after {found.events_replayed:,} events from the log")
    else:
        click.echo(f"{transaction_id} differs in {len(differences)} values:")
        for each in differences:
            click.echo(f"  {each['column']:<32} recorded {each['recorded']!r}, recomputed {each['recomputed']!r}")
    if erased is not None and not as_json:
        click.echo(f"what its personal fields said was erased at {erased['at']} by {erased['by']}")
    return found.identical


def _verify_sample(settings: "Settings", count: int, detector: str | None, *, as_json: bool) -> bool:
    from penstock.engine import verify_sample
    from penstock.wiring.engines import recorded_decisions
    from penstock.wiring.governance import list_at

    began = time.perf_counter()
    with recorded_decisions(settings, None, detector) as (loaded, ledger):
        found = verify_sample(ledger, loaded, count, settings.models_folder, list_at=list_at(loaded, settings))
    took_s = time.perf_counter() - began
    if as_json:
        print_json(_as_json(found, took_s))
    else:
        same = len(found.verified) - len(found.differing)
        click.echo(
            f"{same:,} of {len(found.verified):,} decisions are identical, recomputed in one pass over {found.log_events:,} "
            f"events of the log in {took_s:,.1f} s"
        )
        for each in found.differing:
            click.echo(f"  {each.transaction_id} differs in {', '.join(name for name, _, _ in each.differences)}")
        for transaction_id, why in found.unverifiable:
            click.echo(f"  {transaction_id} cannot be recomputed: {why}")
    return not found.differing and not found.unverifiable


def _as_json(found: "SampleVerification", took_s: float) -> dict[str, object]:
    return {
        "verified": len(found.verified),
        "identical": len(found.verified) - len(found.differing),
        "differing": [
            {
                "transaction_id": each.transaction_id,
                "differences": [{"column": name, "recorded": old, "recomputed": new} for name, old, new in each.differences],
            }
            for each in found.differing
        ],
        "unverifiable": [{"transaction_id": name, "reason": why} for name, why in found.unverifiable],
        "log_events": found.log_events,
        "took_s": round(took_s, 3),
    }
