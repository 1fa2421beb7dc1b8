//! Where supwatch is known not to be right yet, by fault or by trait of a healthy hierarchy. A line that no hierarchy of a run
//! needs any more makes the test fail, so that the lists are emptied as supwatch is mended.

const CONTRADICTION: &str = "what rules say on the strength of a contradictory description is not folded under topology";

/// Once findings tell what they follow from.
pub const FOLDED: &[(&str, &str)] = &[
    ("cycle", CONTRADICTION),
    ("secondary-with-children", CONTRADICTION),
    ("two-tops", CONTRADICTION),
    ("parent-of-several-not-listed", "one line that is missing in hierarchy.toml is told at every child"),
];

const WCM: &str = "what WCM says is not joined to a run that says \"not configured\", since the general cause scores higher";

/// Before they do.
pub const UNFOLDED: &[(&str, &str)] = &[
    ("wcm-name", WCM),
    ("wcm-refused", WCM),
    ("wcm-reset", WCM),
    ("wcm-timed-out", WCM),
    ("wcm-trust", WCM),
    ("shared-susdb", "of a further SUP whose database nobody tells it is taken for certain that it is one of its own"),
    ("no-source", "a SUP that a log tells, but not as the first, leaves an empty list: \"no software update point\""),
];

/// Those that count here.
pub fn all() -> &'static [(&'static str, &'static str)] {
    if crate::judge::folds() { FOLDED } else { UNFOLDED }
}
