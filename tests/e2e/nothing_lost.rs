//! Collector killed, agent killed, connection cut, logs rolled over, state lost, rolled back, restored from a copy: every line is
//! stored once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use supwatch_tests::proxy::Proxy;
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, Running, wait_for};

const SITES: [(&str, &str, Option<&str>); 4] =
    [("CEN", "central", None), ("P01", "primary", Some("CEN")), ("P02", "primary", Some("CEN")), ("S01", "secondary", Some("P01"))];

/// Versions stored of each site, in order of arrival.
pub fn stored(house: &House) -> Result<BTreeMap<String, Vec<u64>>, String> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in house.events()? {
        if event["kind"] == "catalog-version" {
            found
                .entry(event["site"].as_str().unwrap_or_default().to_owned())
                .or_default()
                .push(event["version"].as_u64().unwrap_or_default());
        }
    }
    Ok(found)
}

#[test]
fn kills_and_cuts_lose_and_double_nothing() {
    let mut house = House::new("name = \"corp\"\n");
    let proxy = Proxy::to(house.port);
    let mut sites: Vec<SiteFolder> =
        SITES.iter().map(|(code, kind, parent)| SiteFolder::new(&house.path("sites"), code, kind, *parent)).collect();
    let configs: Vec<_> = sites
        .iter()
        .map(|site| {
            let identity = house.identity(&[site.code], "srv");
            house.agent_config(site.code, &identity, std::slice::from_ref(&site.folder), proxy.port)
        })
        .collect();
    let mut agents: Vec<_> = configs.iter().map(|config| House::start_agent(config)).collect();
    let mut next = 0;
    let mut grow = |sites: &mut Vec<SiteFolder>, lines: u64| {
        sites.iter_mut().for_each(|site| site.write_numbered(next..next + lines));
        next += lines;
        next
    };

    grow(&mut sites, 300);
    wait_for("something from every site", || match stored(&house)? {
        found if found.len() == 4 => Ok(()),
        found => Err(format!("{found:?}")),
    });
    // The collector dies during open streams.
    grow(&mut sites, 700);
    house.kill_collector();
    grow(&mut sites, 100);
    house.start_collector();
    grow(&mut sites, 100);
    // An agent dies while reading, and its log rolls over before the agent returns.
    grow(&mut sites, 500);
    agents.remove(1).kill();
    let rolled = sites[1].folder.join("logs/wsyncmgr.lo_");
    std::fs::rename(sites[1].log(), &rolled).expect("rename");
    grow(&mut sites, 50);
    agents.push(House::start_agent(&configs[1]));
    // The connection is cut for a while.
    proxy.cut();
    let all = grow(&mut sites, 200);
    proxy.mend();

    wait_for("every line", || {
        let found = stored(&house)?;
        let counts: Vec<(String, usize)> = found.iter().map(|(site, versions)| (site.clone(), versions.len())).collect();
        if counts.len() == 4 && counts.iter().all(|(_, count)| *count as u64 >= all) {
            Ok(())
        } else {
            Err(format!("{counts:?} of {all}"))
        }
    });
    for (site, versions) in stored(&house).expect("events") {
        assert_eq!(versions, (0..all).collect::<Vec<_>>(), "{site}: each line once, in order");
    }
}

/// One agent of one site; its state and the collector's store are lost and rolled back.
pub struct One {
    pub house: House,
    pub site: SiteFolder,
    pub config: PathBuf,
    pub agent: Option<Running>,
    pub written: u64,
}

impl One {
    pub fn new() -> One {
        let house = House::new("name = \"corp\"\n");
        let site = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
        let identity = house.identity(&["CEN"], "srv");
        let config = house.agent_config("cen", &identity, std::slice::from_ref(&site.folder), house.port);
        One { house, site, config, agent: None, written: 0 }
    }

    pub fn write(&mut self, lines: u64) {
        self.site.write_numbered(self.written..self.written + lines);
        self.written += lines;
    }

    pub fn start(&mut self) {
        self.agent = Some(House::start_agent(&self.config));
    }

    pub fn kill(&mut self) {
        self.agent.take().expect("an agent").kill();
    }

    pub fn state(&self) -> PathBuf {
        self.house.path("state-cen")
    }

    /// Every line is stored once and in order.
    #[track_caller]
    pub fn check(&self) {
        wait_for("every line", || {
            let found = stored(&self.house)?.remove("CEN").unwrap_or_default();
            if found.len() as u64 >= self.written { Ok(()) } else { Err(format!("{} of {}", found.len(), self.written)) }
        });
        assert_eq!(stored(&self.house).expect("events")["CEN"], (0..self.written).collect::<Vec<_>>());
    }
}

#[test]
#[cfg(unix)]
fn a_second_signal_ends_the_wait_and_what_is_undelivered_is_told_and_kept() {
    let mut one = One::new();
    one.start();
    one.write(50);
    one.check();
    one.house.freeze_collector();
    let before = newest_write(&one.state());
    one.write(200);
    wait_for("lines in the spool", || {
        let newest = newest_write(&one.state());
        if newest > before { Ok(()) } else { Err(format!("last written {newest:?}")) }
    });
    let mut agent = one.agent.take().expect("an agent");
    agent.ask_to_end();
    // Once it reads nothing, it is waiting for the collector.
    agent.says("log reading stopped");
    agent.ask_to_end();
    assert_eq!(agent.ends(), 0);
    let said = wait_for("its last words", || {
        let said = agent.said();
        said.lines().find(|line| line.contains("agent stopped")).map(str::to_owned).ok_or(said)
    });
    assert!(said.contains("hurried=true") && !said.contains("undelivered=0 "), "{said}");
    one.house.kill_collector();
    one.house.start_collector();
    one.start();
    one.check();
}

/// When anything in a folder was last written.
#[cfg(unix)]
fn newest_write(folder: &Path) -> Option<std::time::SystemTime> {
    let entries = std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    let written = |path: PathBuf| match path.is_dir() {
        true => newest_write(&path),
        false => path.metadata().and_then(|metadata| metadata.modified()).ok(),
    };
    entries.filter_map(written).max()
}

pub fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).expect("removed");
    }
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder").map(|entry| entry.expect("entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

#[test]
fn an_agent_that_lost_its_state_goes_on_where_the_collector_has_its_files() {
    let mut one = One::new();
    one.write(500);
    one.start();
    one.check();
    one.kill();
    std::fs::remove_dir_all(one.state()).expect("removed");
    one.write(200);
    one.start();
    one.check();
    // Not even a line written while the agent does not know where to resume is lost.
    one.kill();
    one.house.kill_collector();
    std::fs::remove_dir_all(one.state()).expect("removed");
    one.start();
    one.write(100);
    one.house.start_collector();
    one.check();
}

#[test]
fn a_spool_that_was_set_back_in_time_begins_anew_and_doubles_nothing() {
    let mut one = One::new();
    one.write(300);
    one.start();
    one.check();
    one.kill();
    let copied = one.house.path("state-copy");
    copy(&one.state(), &copied);
    one.start();
    one.write(300);
    one.check();
    // It has produced fewer events than the collector has from it.
    one.kill();
    copy(&copied, &one.state());
    one.write(10);
    one.start();
    one.check();
    // Meanwhile it has produced more, and others under the same numbers.
    one.kill();
    copy(&copied, &one.state());
    one.house.kill_collector();
    std::fs::write(
        one.site.folder.join("settings.json"),
        r#"{"schema": "supwatch/settings/v1", "site": "CEN", "taken_at": "2026-03-01T06:00:00Z"}"#,
    )
    .expect("settings");
    one.start();
    one.write(400);
    let said = |agent: &Option<Running>| agent.as_ref().map(Running::said).unwrap_or_default();
    wait_for("attempts", || if said(&one.agent).contains("delivery interrupted") { Ok(()) } else { Err(said(&one.agent)) });
    one.house.start_collector();
    one.check();
    assert!(said(&one.agent).contains("rolled back"), "{}", said(&one.agent));
}

#[test]
fn a_collector_that_was_restored_from_a_copy_gets_again_what_it_lost() {
    let mut one = One::new();
    one.write(300);
    one.start();
    one.check();
    let (store, copied) = (one.house.path("store"), one.house.path("store-copy"));
    one.house.kill_collector();
    copy(&store, &copied);
    one.house.start_collector();
    one.write(400);
    one.check();
    one.house.kill_collector();
    copy(&copied, &store);
    one.house.start_collector();
    one.check();
    one.write(50);
    one.check();
}
