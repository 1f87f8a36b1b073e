"""The archive sink: every event and decision as Parquet in an object store, or in a folder.

place     the store that a URL names                sink      writes the archive asynchronously
layout    paths of files, and which are valid       reading   fetches files for SQL
"""

from penstock.errors import MissingExtra

try:
    import obstore as obstore
except ImportError as error:  # pragma: no cover -- shown in an environment without it
    raise MissingExtra("s3", "the archive of objects") from error

from penstock.adapters.s3.reading import ObjectArchive
from penstock.adapters.s3.sink import ArchiveSink

__all__ = ["ArchiveSink", "ObjectArchive"]
