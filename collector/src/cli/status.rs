//! `supwatch status`: the hierarchy as a tree; exits with 1 where a finding is severe enough.

use jiff::Timestamp;

use super::client::picture;
use super::{FailOn, Global, Outcome, print, print_json};
use crate::show::render::{json, tree};

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Exit with 1 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    fail_on: FailOn,
}

impl Status {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let picture = picture(global, self.at, false)?;
        if global.is_json() {
            print_json(&json::picture(&picture, global.lang()))?;
        } else {
            print(&tree::draw(&picture, global.look()))?;
        }
        Ok(u8::from(self.fail_on.fails(&picture.findings)))
    }
}
