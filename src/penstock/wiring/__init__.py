"""From settings and names to working objects: detectors, engines, ways in and out. The only importer of adapters."""
