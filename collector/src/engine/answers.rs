//! What the engine answers to queries, metrics and notifications: picture, findings, waves, settings, what if.
//!
//! Nothing here changes what is judged or stored; every answer is derived from the state at the time of the question.

use std::sync::PoisonError;

use jiff::Timestamp;
use supwatch_model::finding::Finding;
use supwatch_model::history::{SettingsView, VerdictChange};
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::Picture;
use supwatch_model::run::Run;
use supwatch_model::wave::Wave;

use super::Engine;
use supwatch_judgement::consequences;
use supwatch_judgement::picture;
use supwatch_judgement::settings_view;
use supwatch_judgement::waves::Waves;
use supwatch_judgement::whatif::{WhatIfError, whatif};

/// Number of newest waves considered for metrics: those in progress, and the last finished one of each top site.
const MEASURED_WAVES: usize = 8;

impl Engine {
    /// The picture, now or at a moment in the past.
    pub fn picture(&self, at: Option<Timestamp>, resolved: bool) -> Picture {
        let judge = self.read();
        match at {
            Some(at) => picture::at(judge.hierarchy(), judge.limits(), at),
            None => picture::now(&judge, (self.clock)(), resolved, self.refusals.list()),
        }
    }

    /// The newest waves, newest first, now or at a moment in the past.
    pub fn waves(&self, at: Option<Timestamp>, last: usize) -> Vec<Wave> {
        self.with_waves(at, |waves| waves.newest(last))
    }

    /// A wave by its id.
    pub fn wave(&self, at: Option<Timestamp>, id: &str) -> Option<Wave> {
        self.with_waves(at, |waves| waves.get(id))
    }

    /// Every finding, open or resolved, with consequences linked to their causes.
    pub fn findings(&self) -> Vec<Finding> {
        let judge = self.read();
        let mut findings = judge.findings().cloned().collect::<Vec<_>>();
        consequences::fold(judge.hierarchy(), judge.limits(), (self.clock)(), &mut findings);
        findings
    }

    /// The newest waves for metrics. While a site reads its backlog, the waves from before it are returned.
    pub fn measured_waves(&self) -> Vec<Wave> {
        let reads_back = {
            let judge = self.read();
            let hierarchy = judge.hierarchy();
            let mut connected = hierarchy.sites.values().filter(|site| hierarchy.agents_of(site).any(|(_, agent)| agent.connected));
            connected.any(|site| hierarchy.is_reading_back(site.code))
        };
        let waves = (!reads_back).then(|| self.waves(None, MEASURED_WAVES));
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waves) = waves {
            *measured = waves;
        }
        measured.clone()
    }

    /// The settled among the newest waves, each with its runs.
    pub fn settled_waves(&self, last: usize) -> Vec<(Wave, Vec<Run>)> {
        let judge = self.read();
        let settled =
            Waves::new(judge.hierarchy(), judge.limits(), (self.clock)()).newest(last).into_iter().filter(Wave::is_settled);
        let runs = |wave: &Wave| -> Vec<Run> {
            let of = |site: SiteCode, id: &str| {
                let mut all = judge.hierarchy().site(site)?.runs.iter().rev();
                all.find(|tracked| tracked.run.id == id).map(|tracked| tracked.run.clone())
            };
            let below = wave.edges.iter().flat_map(|edge| edge.runs.iter().filter_map(move |id| of(edge.child, id)));
            of(wave.top, &wave.id).into_iter().chain(below).collect()
        };
        settled.map(|wave| (runs(&wave), wave)).map(|(runs, wave)| (wave, runs)).collect()
    }

    fn with_waves<T>(&self, at: Option<Timestamp>, ask: impl FnOnce(&Waves<'_>) -> T) -> T {
        let judge = self.read();
        match at {
            Some(at) => ask(&Waves::new(&judge.hierarchy().as_of(at), judge.limits(), at)),
            None => ask(&Waves::new(judge.hierarchy(), judge.limits(), (self.clock)())),
        }
    }

    /// The settings of a site, now or at a moment in the past; `None` where there is no such site.
    pub fn settings(&self, site: SiteCode, at: Option<Timestamp>) -> Option<SettingsView> {
        let judge = self.read();
        let known = judge.hierarchy().site(site)?;
        let now = (self.clock)();
        Some(match at {
            Some(at) => {
                let mut past = known.clone();
                past.configured = known.configured.as_of(at);
                settings_view::view(judge.hierarchy(), &past, at)
            }
            None => settings_view::view(judge.hierarchy(), known, now),
        })
    }

    /// Verdicts that would change if a site had other settings.
    pub fn whatif(&self, site: SiteCode, set: &[String]) -> Result<Vec<VerdictChange>, WhatIfError> {
        let judge = self.read();
        whatif(judge.hierarchy(), judge.limits(), site, set, (self.clock)())
    }
}
