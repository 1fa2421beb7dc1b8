//! Which words on coverage are worth a write.
//!
//! A heartbeat tells every 15 s that there is nothing new, by every agent. What is not kept costs little: after a restart an
//! older word counts, and absence is judged up to that until the agent tells again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use supwatch_model::coverage::Coverage;
use supwatch_model::ids::{AgentId, Epoch, SiteCode};

use supwatch_store::KeptCoverage;

/// What nothing else changes is kept again after this time.
const EVERY: SignedDuration = SignedDuration::from_mins(5);

/// What was kept last, by agent and site.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<(AgentId, SiteCode), Last>);

/// Epoch, number of the last event, and until when everything was read.
type Last = (Epoch, u64, Option<Timestamp>);

impl Kept {
    /// Those of an agent's words that are worth a write.
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
