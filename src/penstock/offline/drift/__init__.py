"""Drift detection: live traffic compared with the data that models were trained on.

reference  distributions stored in the bundle         sketch   bounded counts of live traffic, by hour
watch      updates a sketch from a ledger             compare  shift of each column, and its explanation
estimate   quality from scores, without labels        truth    quality from labels
findings   conclusions in words                       report   the whole report (`result`; HTML: `page`)
"""
