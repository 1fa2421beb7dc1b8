//! Which coverage reports are worth a write.
//!
//! Every agent's heartbeat reports coverage every 15 s, mostly unchanged. Skipping a write costs little: after a restart an
//! older report counts, and absence is judged up to it until the agent reports again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use supwatch_model::coverage::Coverage;
use supwatch_model::ids::{AgentId, Epoch, SiteCode};

use supwatch_store::KeptCoverage;

/// Coverage that only moves on in time is written again after this time.
const EVERY: SignedDuration = SignedDuration::from_mins(5);

/// Coverage last written, by agent and site.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<(AgentId, SiteCode), Last>);

/// Epoch, number of the last event, and until when everything was read.
type Last = (Epoch, u64, Option<Timestamp>);

impl Kept {
    /// The reports of an agent that are worth a write.
    pub(super) fn worth_keeping(&mut self, agent: &AgentId, epoch: Epoch, coverage: &[&Coverage]) -> Vec<KeptCoverage> {
        let mut worth = Vec::new();
        for one in coverage.iter().filter(|one| one.caught_up) {
            let until = one.logs.iter().filter_map(|log| log.read_until).max();
            let key = (agent.clone(), one.site);
            let same = self.0.get(&key).is_some_and(|(known, after, before)| {
                let young = until.zip(*before).is_none_or(|(until, before)| until.duration_since(before) < EVERY);
                (*known, *after) == (epoch, one.after_sequence) && young
            });
            if !same {
                self.0.insert(key, (epoch, one.after_sequence, until));
                worth.push(KeptCoverage { agent: agent.clone(), epoch, coverage: (*one).clone() });
            }
        }
        worth
    }
}
