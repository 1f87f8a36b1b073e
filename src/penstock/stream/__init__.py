"""Beyond one process: the same engine behind a broker.

    inbox -> Owner: Engine -> Unit -> broker transaction (journal, decisions, quarantine, offsets)
                                          `-> Replica: local ledger + engine, at the owner, the standby and every API process

port       what a broker and a store beside the path owe       journaled  the ledger whose log is the journal
entry      what the journal holds                               replica    follows the journal
owner      decides what the inbox brings                        sinks      drives the stores from the local ledger
"""
