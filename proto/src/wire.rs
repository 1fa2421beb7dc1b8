//! The generated protobuf and gRPC types, and the errors of invalid messages.

#![allow(missing_docs)] // the .proto files document them

tonic::include_proto!("supwatch.v1");

/// Why a peer's message is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WireError {
    /// A required field is missing.
    #[error("{message} lacks the field {field}")]
    Missing {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// A field has an invalid value.
    #[error("{field} holds {value:?}: {reason}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// The value received.
        value: String,
        /// Why the value is invalid.
        reason: String,
    },
}

impl WireError {
    /// The error for a field with an invalid value.
    pub fn invalid(field: &'static str, value: impl ToString, reason: impl ToString) -> WireError {
        WireError::Invalid { field, value: value.to_string(), reason: reason.to_string() }
    }
}

/// An empty string on the wire stands for "not known".
pub(crate) fn known(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
