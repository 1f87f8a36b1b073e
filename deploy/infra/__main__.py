"""What `make infra` and `make infra-stop` run; `fetch` only fetches the jars of the servers that run on Java."""

import argparse
import shlex
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.infra import SERVERS, Server, ServerFailed
from deploy.infra.server import is_free

FOLDER = Path(__file__).parents[2] / ".infra"


def main(arguments: list[str] | None = None) -> int:
    """Do it; the exit code: 1 if it could not be done for a server that was named, or for any at all."""
    names = [server.name for server in SERVERS]
    parser = argparse.ArgumentParser(prog="python -m deploy.infra", description=__doc__)
    parser.add_argument("action", choices=list(ACTIONS))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(names)}; all unless given")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they keep their data (default: %(default)s)")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(names):
        parser.error(f"there is no server {', '.join(sorted(unknown))}; known: {', '.join(names)}")
    chosen = [server for server in SERVERS if not given.names or server.name in given.names]
    given.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        tellings = list(pool.map(ACTIONS[given.action], chosen, [given.folder] * len(chosen)))
    for server, (_, telling) in zip(chosen, tellings, strict=True):
        print(f"{server.name:9} {telling}")
    if given.action != "fetch":
        write_addresses(given.folder)
    return 0 if (all if given.names else any)(well for well, _ in tellings) else 1


def start(kind: type[Server], folder: Path) -> tuple[bool, str]:
    """Start a server unless it runs; whether it does now, and what to say about it."""
    lack = kind.missing()
    if lack:
        return False, f"not started: {lack}"
    try:
        server = kind(folder / kind.name, kind.usual_port if is_free(kind.usual_port) else None, guarded=False)
        ran = server.pid is not None
        server.start()
    except (ServerFailed, OSError) as error:
        return False, f"not started: {error}"
    return True, f"{server.url}  (log: {server.log}){'  ran already' if ran else ''}"


def stop(kind: type[Server], folder: Path) -> tuple[bool, str]:
    """Stop a server if it runs; whether it is stopped now, and what to say about it."""
    server = kind(folder / kind.name, guarded=False)
    if server.pid is None:
        return True, "did not run"
    try:
        server.stop()
    except ServerFailed as error:
        return False, str(error)
    return True, "stopped"


def fetch(kind: type[Server], folder: Path) -> tuple[bool, str]:  # noqa: ARG001 - the jars of all folders are the same
    """Have everything that a server runs on; whether it is there now, and what to say about it."""
    lack = kind.missing()
    if lack:
        return False, f"cannot run here: {lack}"
    try:
        kind.fetch()
    except OSError as error:
        return False, str(error)
    return True, "can run here"


ACTIONS = {"start": start, "stop": stop, "fetch": fetch}


def write_addresses(folder: Path) -> None:
    """Name what runs, for `make` and for a shell, in servers.env; no file where nothing runs."""
    running = [server for kind in SERVERS if (server := kind(folder / kind.name, guarded=False)).pid is not None]
    target = folder / "servers.env"
    if not running:
        target.unlink(missing_ok=True)
        return
    target.write_text(addresses(running))
    print(f"addresses: {target}")


def addresses(servers: Iterable[Server]) -> str:
    """The variables that name servers and the keys to them, as lines that a shell and `make` read."""
    variables: dict[str, str] = {}
    for server in servers:
        variables |= {f"{server.name.upper()}_URL": server.url} | server.environment
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


if __name__ == "__main__":
    sys.exit(main())
