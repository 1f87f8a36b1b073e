"""The ledger in PostgreSQL: an engine's own (`PostgresLedger`), or an asynchronous copy of a worker's (`PostgresSink`).

connection   connections, and mapping of errors         layouts    column names of recorded rows
migrations   the schema, version by version             views      one per detector, with named columns
partitions   by day or month; retention                 rows       a record as rows in PostgreSQL's binary form
tables       labels, quarantine, alerts, settings       store      one log: fencing, position, a group in one transaction
office       the governance database
                                                        reading    records by position, sequence number and id

Everything lies in the schema `penstock`. A record is kept twice: as its frame, from which it comes back bit for bit, and as
rows that SQL reads through the views `decisions` and `decisions_<detector>`.
"""

from penstock.errors import MissingExtra

try:
    import psycopg as psycopg
except ImportError as error:  # pragma: no cover -- shown in an environment without it
    raise MissingExtra("postgres", "the ledger in PostgreSQL") from error

from penstock.adapters.postgres.ledger import OWN, PostgresLedger, logs_of
from penstock.adapters.postgres.migrations import Status, create, migrate, status
from penstock.adapters.postgres.office import PostgresDatabase
from penstock.adapters.postgres.partitions import retain
from penstock.adapters.postgres.sink import PostgresSink

__all__ = [
    "OWN",
    "PostgresDatabase",
    "PostgresLedger",
    "PostgresSink",
    "Status",
    "create",
    "logs_of",
    "migrate",
    "retain",
    "status",
]
