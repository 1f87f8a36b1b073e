"""The jars of servers that run on Java: Maven copies them from its own cache, once per version of pom.xml."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".infra" / "jars"
JAVA = 17


def java_missing(profile: str) -> str | None:
    """What keeps a server from running on this machine's Java: no Java, an old one, or no jars and no Maven."""
    if shutil.which("java") is None:
        return f"no java; on Debian: apt-get install default-jre-headless (version {JAVA} or later)"
    version = _java_version()
    if version < JAVA:
        return f"java {version}, but {JAVA} or later is needed; on Debian: apt-get install default-jre-headless"
    if not _folder(profile).is_dir() and shutil.which("mvn") is None:
        return "no mvn, which fetches its jars; on Debian: apt-get install maven"
    return None


def class_path(profile: str) -> str:
    """The class path of a profile of pom.xml, fetched now unless that was done before.

    Raises:
        OSError: Maven failed; the message has what it said.
    """
    folder = _folder(profile)
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / f"{profile}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want them at once
            if not folder.is_dir():
                _fetch(profile, folder)
    return f"{folder}/*"


def _folder(profile: str) -> Path:
    version = hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()[:12]
    return CACHE / f"{profile}-{version}"


def _fetch(profile: str, folder: Path) -> None:
    """From Maven's cache alone if it has them all (seconds less), else from wherever its settings say."""
    partial = folder.with_suffix(f".{os.getpid()}")
    copy = ["mvn", "--quiet", "--batch-mode", "--file", str(HERE / "pom.xml"), "--activate-profiles", profile]
    copy += ["dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    for offline in (["--offline"], []):
        done = subprocess.run([*copy, *offline], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            partial.rename(folder)
            return
        shutil.rmtree(partial, ignore_errors=True)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr).strip().splitlines()
    raise OSError(f"mvn could not fetch the jars of {profile}: {said[0] if said else 'it said nothing'}")


def _java_version() -> int:
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else 0
