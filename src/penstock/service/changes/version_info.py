"""Version metadata that rules and features share."""

from typing import Any

import msgspec

from penstock.clock import iso
from penstock.governance.feature_versions import Version as FeatureVersion
from penstock.governance.rule_versions import Version as RuleVersion


class VersionInfo(msgspec.Struct, kw_only=True):
    """A version: its number, author, time and reason; its state, since when, and who changed it."""

    version: int
    since: str
    changed_by: str
    author: str
    written_at: str
    note: str


def version_info(version: RuleVersion | FeatureVersion) -> dict[str, Any]:
    """The fields of `VersionInfo`."""
    return {
        "version": version.version,
        "since": iso(version.changed_us),
        "changed_by": version.changed_by,
        "author": version.author,
        "written_at": iso(version.at_us),
        "note": version.note,
    }
