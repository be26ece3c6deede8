//! The switchboard that SIP cores stand on: transport, transactions and resolver as one machine.
