//! Where supwatch is known not to be right yet. A line that no hierarchy of a run needs any more makes the test fail, so that
//! the list is emptied as supwatch is mended.

/// Why a failed configuration keeps the general cause.
const WCM: &str = "what WCM says is not joined to a run that says \"not configured\", since the general cause scores higher";

/// Faults that are not named as they must be, with the reason.
pub const FAULTS: &[(&str, &str)] =
    &[("wcm-name", WCM), ("wcm-refused", WCM), ("wcm-reset", WCM), ("wcm-timed-out", WCM), ("wcm-trust", WCM)];

/// Traits of healthy hierarchies that something is said of, with the reason.
pub const TRAITS: &[(&str, &str)] = &[
    ("shared-susdb", "of a further SUP whose database nobody tells it is taken for certain that it does not share the first one's"),
    ("no-source", "what a log says of a SUP without its being the first one leaves an empty list: \"no software update point\""),
];
