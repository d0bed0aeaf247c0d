//! What can break around the server, broken on purpose: nothing that was used counts again, nothing
//! stays open past its time, protection stays, and the server is back by itself.

mod killed;
