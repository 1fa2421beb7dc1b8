//! The events in a hierarchy over several days, and the lines that its components write about them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use supwatch_tests::dice::Dice;

use crate::build::bare;
use crate::stamp;
use crate::world::{Failure, Generation, HOUR, Line, MINUTE, NEVER, Place, Run, Seconds, Site, Trigger, World};

const MAIN: u32 = 4312;
const OTHER: u32 = 5176;
const SOURCE: &str = "{7B0C1E54-93D2-4A6F-8E11-5D20A9C3F6B8}";

/// Synchronises the hierarchy until its end, and writes its logs.
pub fn play(world: &mut World, dice: &mut Dice) {
    let mut asked = BinaryHeap::new();
    let stops = world.scheduler_stops.unwrap_or(NEVER);
    let by = if world.gap.is_some() { Trigger::Schedule } else { Trigger::Local };
    let mut at = world.first_run;
    while at <= world.now && at < stops {
        asked.push(Reverse((at, 0, by)));
        at += world.gap_seconds();
    }
    for site in 0..world.sites.len() {
        for at in world.sites[site].local_at.clone() {
            asked.push(Reverse((at, site, Trigger::Local)));
        }
    }
    while let Some(Reverse((at, site, trigger))) = asked.pop() {
        if at > world.now || !world.sites[site].has_sup() {
            continue;
        }
        // Runs do not overlap; a schedule that comes due during a run is served by that run.
        let busy = world.sites[site].busy_until;
        if busy > at {
            if busy < world.now && trigger == Trigger::Parent {
                asked.push(Reverse((busy + 5, site, trigger)));
            }
            continue;
        }
        let mut teller = Teller { world, dice, site, at };
        if teller.run(trigger) {
            let told = teller.at;
            for child in world.children(site) {
                let deaf = world.sites[child].deaf_from.is_some_and(|from| from <= told);
                if world.sites[child].has_sup() && !deaf {
                    asked.push(Reverse((told + dice.between(5, 150), child, Trigger::Parent)));
                }
            }
        } else if world.sites[site].busy_until != NEVER {
            let ended = world.sites[site].busy_until;
            asked.push(Reverse((ended + HOUR, site, Trigger::Retry)));
        }
    }
    for site in 0..world.sites.len() {
        idle(world, site);
        crate::wcm::write(world, site);
    }
    for site in &mut world.sites {
        site.wsync.retain(|line| line.at <= world.now);
        site.wcm.retain(|line| line.at <= world.now);
        site.wsus.retain(|(at, _)| *at <= world.now);
        site.wsync.sort_by_key(|line| line.at);
    }
}

/// Most hours of idle lines in a log.
const IDLE_HOURS: i64 = 16;

fn idle(world: &mut World, site: usize) {
    let now = world.now;
    let own = &mut world.sites[site];
    if !own.has_sup() {
        return;
    }
    let begin = (world.first_run - HOUR).max(now - IDLE_HOURS * HOUR);
    let mut at = begin + own.wcm_minute * MINUTE + 11;
    // The log goes back to the beginning of the story, however long ago that is.
    own.wsync.push(Line { at: world.first_run - HOUR / 2, text: "Wakeup for a polling cycle".to_owned(), thread: MAIN });
    while at <= now {
        // A hanging run does not keep the component from waking up.
        let busy = own.runs.iter().any(|run| run.wsus_from - 10 * MINUTE < at && at < run.ended.min(run.wsus_from + 40 * MINUTE));
        if !busy {
            own.wsync.push(Line { at, text: "Wakeup for a polling cycle".to_owned(), thread: MAIN });
        }
        at += HOUR;
    }
}

/// Writes one run of one site.
struct Teller<'a> {
    world: &'a mut World,
    dice: &'a mut Dice,
    site: usize,
    at: Seconds,
}

impl Teller<'_> {
    fn own(&mut self) -> &mut Site {
        &mut self.world.sites[self.site]
    }

    fn by(&mut self, thread: u32, text: String) {
        let at = self.at;
        self.own().wsync.push(Line { at, text, thread });
    }

    fn say(&mut self, text: impl Into<String>) {
        self.by(MAIN, text.into());
    }

    fn later(&mut self, low: i64, high: i64) {
        self.at += self.dice.between(low, high);
    }

    fn status(&mut self, id: u32, severity: char, strings: [&str; 2]) {
        let line = status("SMS_WSUS_SYNC_MANAGER", self.world, self.site, self.at, (id, severity), strings);
        self.say(line);
    }

    /// Whether it succeeded and notified the children.
    fn run(&mut self, trigger: Trigger) -> bool {
        let (began, site) = (self.at, self.site);
        let failure = self.own().trouble_at(began).cloned();
        self.start(trigger);
        if let Some(failure) = failure.as_ref().filter(|failure| failure.place == Place::Start) {
            self.later(240, 310);
            return self.fail(began, failure);
        }
        let host = self.own().points[0].role_name.clone();
        let top = self.world.sites[site].parent.is_none();
        self.say(format!("Synchronizing WSUS, default server is {host}"));
        self.status(6704, 'I', ["", ""]);
        let scheme = if self.own().points[0].ssl { "https" } else { "http" };
        let port = self.own().points[0].port();
        self.by(OTHER, format!("{scheme}://{host}:{port}"));
        self.say(format!("Synchronizing WSUS server {host} ..."));
        self.say("sync: Starting WSUS synchronization");
        let wsus_from = self.at;
        if let Some(failure) = failure.as_ref().filter(|failure| failure.place == Place::Wsus) {
            self.later(3, 90);
            return self.fail(began, failure);
        }
        self.later(2, 9);
        self.say("sync: WSUS synchronizing categories");
        self.later(5, 30);
        self.say("sync: WSUS synchronizing updates");
        let all = self.dice.between(40, 900);
        self.later(20, 200);
        self.say(progress("WSUS synchronizing updates", all / 2, all));
        if self.own().hangs_from.is_some_and(|from| from <= began) {
            self.own().busy_until = NEVER;
            self.own().runs.push(Run { wsus_from, wsus_to: NEVER, ended: NEVER, succeeded: false, version: 0 });
            return false;
        }
        self.later(20, 400);
        self.say(progress("WSUS synchronizing updates", all, all));
        let wsus_to = self.at;
        self.say(format!("Done synchronizing WSUS Server {host}"));
        self.say("Sleeping 2 more minutes for WSUS server sync results to become available");
        self.at += 121;
        let version = self.new_version(began);
        if top && !self.database_phase(&host, version, all, began, failure.as_ref()) {
            return false;
        }
        if !top {
            self.content_version(version);
        }
        self.replicas();
        self.status(6702, 'I', ["", ""]);
        self.succeed(began, version, all);
        self.own().version = version;
        let ended = self.at;
        self.own().busy_until = ended;
        self.own().runs.push(Run { wsus_from, wsus_to, ended, succeeded: true, version });
        self.tell_children();
        true
    }

    fn start(&mut self, trigger: Trigger) {
        let code_above = self.own().parent.map(|parent| self.world.sites[parent].code.clone()).unwrap_or_default();
        match trigger {
            Trigger::Schedule => self.say("Wakeup for scheduled regular sync"),
            Trigger::Retry => self.say("Wakeup for a polling cycle"),
            Trigger::Local => {
                self.say("Wakeup by inbox drop");
                self.say("Found local sync request file");
            }
            Trigger::Parent => {
                self.say("Wakeup by inbox drop");
                self.say(format!("Found parent sync notification file {code_above}.SYN."));
            }
        }
        self.say("Starting Sync");
        self.say(match trigger {
            Trigger::Schedule => "Performing sync on regular schedule",
            Trigger::Local => "Performing sync on local request",
            Trigger::Parent => "Performing sync on parent request",
            Trigger::Retry => "Performing sync on retry schedule",
        });
        let server = self.own().server.clone();
        self.say(format!("Read SUPs from SCF for {server}"));
        let names: Vec<String> = self.own().points.iter().map(|point| point.role_name.clone()).collect();
        self.say(format!("Found {} SUPs", names.len()));
        for name in names {
            self.say(format!("Found active SUP {name} from SCF File."));
        }
        self.at += 1;
        self.status(6701, 'I', ["", ""]);
    }

    fn new_version(&mut self, began: Seconds) -> u64 {
        let own = self.own();
        let kept = own.version_kept_from.is_some_and(|from| from <= began);
        match own.parent {
            _ if kept => own.version,
            None => own.version + 2,
            Some(parent) => self.world.sites[parent].version,
        }
    }

    fn content_version(&mut self, version: u64) {
        let code = self.own().code.clone();
        self.say(format!("Set content version of update source {SOURCE} for site {code} to {version}"));
    }

    /// Whether it ended.
    fn database_phase(&mut self, host: &str, version: u64, all: i64, began: Seconds, failure: Option<&Failure>) -> bool {
        self.content_version(version - 1);
        self.say(format!("Synchronizing SMS database with WSUS, default server is {host}"));
        self.status(6705, 'I', ["", ""]);
        self.say(format!("Synchronizing SMS database with WSUS server {host} ..."));
        self.say("sync: Starting SMS database synchronization");
        let languages = self.own().component.summary.clone().unwrap_or_default().join(",");
        self.say(format!("requested localization languages: {languages}"));
        self.later(2, 9);
        self.say(progress("SMS synchronizing categories", 18, 18));
        self.say("sync: SMS synchronizing updates");
        self.later(5, 40);
        self.say(
            "Synchronizing update 3d1f6a90-27c4-4e5b-9a08-c1be7742d6f3 - Security Update for error reporting that failed (1.2)",
        );
        if let Some(failure) = failure {
            self.later(3, 60);
            self.fail(began, failure);
            return false;
        }
        self.later(10, 500);
        self.say(progress("SMS synchronizing updates", all, all));
        self.say(format!("Done synchronizing SMS with WSUS Server {host}"));
        self.at += 2;
        self.content_version(version);
        true
    }

    fn replicas(&mut self) {
        let further: Vec<String> = self.own().points.iter().skip(1).map(|point| point.role_name.clone()).collect();
        if further.is_empty() {
            return;
        }
        self.say("Synchronizing replica WSUS servers");
        self.status(6706, 'I', ["", ""]);
        for name in further {
            self.say(format!("Synchronizing WSUS server {name} ..."));
            self.later(5, 60);
            self.say(format!("Done synchronizing WSUS Server {name}"));
        }
    }

    fn succeed(&mut self, began: Seconds, version: u64, all: i64) {
        let code = self.own().code.clone();
        match self.world.generation {
            Generation::Y2007 => self.say("Sync succeeded."),
            _ => self.say(format!("Sync succeeded. Setting sync alert to canceled state on site {code}")),
        }
        match self.own().parent {
            None => self.say(format!("Updated {all} items in SMS database, new update source content version is {version}")),
            Some(parent) => {
                let above = self.world.sites[parent].code.clone();
                self.say(format!("Successfully synced site with parent {above}, version {version}"));
            }
        }
        self.duration(began);
        if self.world.gap.is_some() && self.own().parent.is_none() {
            let next =
                self.world.first_run + ((self.at - self.world.first_run) / self.world.gap_seconds() + 1) * self.world.gap_seconds();
            let next = stamp::in_words(&self.world.sites[self.site], next);
            self.say(format!("Next scheduled sync is a regular sync at {next}"));
        }
    }

    fn duration(&mut self, began: Seconds) {
        let took = self.at - began;
        self.say(format!("Sync time: 0d{:02}h{:02}m{:02}s", took / 3600, took / 60 % 60, took % 60));
    }

    fn tell_children(&mut self) {
        let children: Vec<String> = self.world.children(self.site).iter().map(|at| self.world.sites[*at].code.clone()).collect();
        if !children.is_empty() {
            self.say(format!("Sending sync notification to child site(s): {}", children.join(", ")));
        }
    }

    fn fail(&mut self, began: Seconds, failure: &Failure) -> bool {
        let wsus_from = self.at;
        for line in &failure.lines {
            self.say(line.clone());
        }
        // WSUS has its own clock, which is right.
        let at = self.at;
        self.own().wsus.extend(failure.wsus.iter().map(|line| (at, line.clone())));
        let source = match self.world.generation {
            Generation::Y2007 => failure.source.replace("WsusSyncAction.WSyncAction", "WSyncAction.WSyncAction"),
            _ => failure.source.to_owned(),
        };
        self.say(format!("Sync failed: {}. Source: {source}", failure.text));
        self.status(6703, 'E', [&source, &failure.text]);
        self.say("Sync failed. Will retry in 60 minutes");
        if self.world.generation != Generation::Y2007 {
            let code = self.own().code.clone();
            self.say(format!("Setting sync alert to active state on site {code}"));
        }
        self.duration(began);
        let next = stamp::in_words(&self.world.sites[self.site], self.at + HOUR);
        self.say(format!("Next scheduled sync is a retry sync at {next}"));
        let ended = self.at;
        self.own().busy_until = ended;
        self.own().runs.push(Run { wsus_from, wsus_to: ended, ended, succeeded: false, version: 0 });
        false
    }
}

fn progress(what: &str, done: i64, all: i64) -> String {
    format!("sync: {what}, processed {done} out of {all} items ({}%)", done * 100 / all)
}

/// A status message as a component writes it; its GMTDATE is the site's clock.
pub fn status(component: &str, world: &World, site: usize, at: Seconds, (id, severity): (u32, char), strings: [&str; 2]) -> String {
    let own = &world.sites[site];
    let system = if world.generation == Generation::Y2007 { bare(&own.server).to_uppercase() } else { own.server.clone() };
    let gmt = stamp::gmt(at + own.clock);
    let rest: String = (2..10).map(|n| format!(" ISTR{n}=\"\"")).collect();
    let error = if id == 6703 && world.generation == Generation::Current { " LE=0X80131500" } else { "" };
    format!(
        "STATMSG: ID={id} SEV={severity} LEV=M SOURCE=\"SMS Server\" COMP=\"{component}\" SYS={system} SITE={} PID=2216 TID={MAIN} \
         GMTDATE={gmt} ISTR0=\"{}\" ISTR1=\"{}\"{rest} NUMATTRS=0{error}",
        own.code, strings[0], strings[1],
    )
}
