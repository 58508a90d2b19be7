//! Workstation and device over real sockets: what a push, a removal, a cut or an expiry leaves behind, and what a
//! network may do to a device.

mod audit_log;
mod disks;
mod expiry;
mod namespaces;
mod network;
mod push;
mod verbs;
