//! Who may connect: certificates and the roles in them, the TLS listener, the authority, and who was refused.

pub mod caller;
pub mod identity;
pub mod refusals;
pub mod tls;
pub mod pki;
