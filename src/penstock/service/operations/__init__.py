"""Routes for operators: health, quarantine, alerts, drift, reports, the audit log."""
