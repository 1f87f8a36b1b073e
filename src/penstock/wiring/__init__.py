"""Wiring: settings and names to working objects: detectors, engines, adapters. The only importer of adapters."""
