//! Where supwatch is known not to be right yet. A line that no hierarchy of a run needs any more makes the test fail, so that
//! the list is emptied as supwatch is mended.

/// Faults that are not named as they must be, with the reason.
pub const FAULTS: &[(&str, &str)] = &[];

/// Traits of healthy hierarchies that something is said of, with the reason.
pub const TRAITS: &[(&str, &str)] = &[];
