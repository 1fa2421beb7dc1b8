//! Collector killed, agent killed, link cut, logs rolled over: every line is stored once.

use std::collections::BTreeMap;

use supwatch_tests::proxy::Proxy;
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, wait_for};

const SITES: [(&str, &str, Option<&str>); 4] =
    [("CEN", "central", None), ("P01", "primary", Some("CEN")), ("P02", "primary", Some("CEN")), ("S01", "secondary", Some("P01"))];

/// Versions stored of each site, in order of arrival.
fn stored(house: &House) -> Result<BTreeMap<String, Vec<u64>>, String> {
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
    // The collector dies in the middle of streams.
    grow(&mut sites, 700);
    house.kill_collector();
    grow(&mut sites, 100);
    house.start_collector();
    grow(&mut sites, 100);
    // An agent dies while it reads, with its log rolled over before it is back.
    grow(&mut sites, 500);
    agents.remove(1).kill();
    let rolled = sites[1].folder.join("logs/wsyncmgr.lo_");
    std::fs::rename(sites[1].log(), &rolled).expect("rename");
    grow(&mut sites, 50);
    agents.push(House::start_agent(&configs[1]));
    // The link is cut for a while.
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
