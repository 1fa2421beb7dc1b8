//! Checkpoint of a file: opaque agent state that the collector stores for the agent.

/// Checkpoint of one file of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Site code, slash, file name.
    pub name: String,
    /// Serialised state from which the agent resumes.
    pub checkpoint: Vec<u8>,
}
