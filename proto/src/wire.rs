//! The generated protobuf and gRPC types, and the faults that a peer's message can have.

#![allow(missing_docs)] // the .proto files document them

tonic::include_proto!("supwatch.v1");

/// Why a message of a peer does not make sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WireError {
    /// A field that must be there is absent.
    #[error("{message} lacks the field {field}")]
    Missing {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field holds what it must not.
    #[error("{field} holds {value:?}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// Why that is wrong.
        reason: String,
    },
}

impl WireError {
    /// A field that holds what it must not.
    pub fn invalid(field: &'static str, value: impl ToString, reason: impl ToString) -> WireError {
        WireError::Invalid { field, value: value.to_string(), reason: reason.to_string() }
    }
}

/// An empty string on the wire stands for "not known".
pub(crate) fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
