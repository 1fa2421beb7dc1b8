//! The end-to-end suite: real binaries over real TLS. Start with `line_to_metric`.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod line_to_metric;
mod nothing_lost;
mod kills;
mod without_notices;
#[cfg(target_os = "linux")]
mod power_cuts;
#[cfg(target_os = "linux")]
mod disk_full;
mod damaged_store;
mod upgrade;
mod live_is_offline;
mod article;
mod logs_as_they_are;
mod command_line;
mod bad_input;
mod settings;
mod settings_script;
mod waves;
mod operating;
mod secrets;
mod demo;
mod report;
mod notify;
mod quiet_start;
