"""Drift: live traffic against what models were trained on.

reference  what training leaves in the bundle        sketch   bounded counts of live traffic, by hour
watch      a ledger, followed by a sketch            compare  how far columns moved, and what explains that
estimate   what scores say without labels            truth    what labels say by now
findings   what follows from it                      report   all of it, as `result` holds it; `page` shows it
"""
