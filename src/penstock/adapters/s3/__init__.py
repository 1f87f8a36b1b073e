"""The archive: every event and decision as Parquet in an object store, or in a folder.

place     the store that a URL names                sink      writes the archive beside the path
layout    where files lie, and which of them count  reading   brings files to where SQL reads them
"""

from penstock.errors import MissingExtra

try:
    import obstore as obstore
except ImportError as error:  # pragma: no cover -- shown in an environment without it
    raise MissingExtra("s3", "the archive of objects") from error

from penstock.adapters.s3.reading import ObjectArchive
from penstock.adapters.s3.sink import ArchiveSink

__all__ = ["ArchiveSink", "ObjectArchive"]
