"""Stream processing: the engine behind a broker, with a journal, replicas and sinks.

    inbox -> Owner: Engine -> Unit -> broker transaction (journal, decisions, quarantine, offsets)
                                          `-> Replica: local ledger + engine, at the owner, the standby and every service

port       contracts of brokers and sinks                journal_ledger  the ledger whose log is the journal
entry      one entry of the journal                      replica         follows the journal
owner      decides events from the inbox                 sinks           feeds sinks from the local ledger
"""
