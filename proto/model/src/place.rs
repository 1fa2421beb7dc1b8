//! How far a file was read: the agent's own words, which the collector keeps for it.

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Site code, slash, file name.
    pub name: String,
    /// What the agent needs to go on from there.
    pub checkpoint: Vec<u8>,
}
