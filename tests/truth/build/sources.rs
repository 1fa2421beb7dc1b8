//! Update sources: which server synchronises from which, and what.

use supwatch_tests::dice::Dice;

use super::{BEGIN, DAY, DOMAIN};
use crate::world::{Generation, Kind, Upstream, World};

/// Which server synchronises from which, and under which name.
pub fn sources(world: &mut World, dice: &mut Dice) {
    let at_2007 = world.generation == Generation::Y2007;
    for site in 0..world.sites.len() {
        if !world.sites[site].has_sup() {
            continue;
        }
        let first_source = world.sites[site].parent.map(|parent| upstream_of(world, parent, dice));
        let shares = world.sites[site].points[0].database.1;
        let below_first = upstream_of(world, site, dice);
        let replica = world.sites[site].kind == Kind::Secondary && (!at_2007 || dice.once_in(2));
        let further = !at_2007 || dice.once_in(2);
        for (number, point) in world.sites[site].points.iter_mut().enumerate() {
            // Servers that share a database have one configuration.
            if number == 0 || shares {
                point.from_microsoft = first_source.is_none();
                point.upstream = first_source.clone();
                point.replica = replica;
            } else {
                point.upstream = Some(below_first.clone());
                point.replica = further;
            }
            if dice.once_in(8) {
                world.traits.insert("spelling");
                point.wsus_name = spelled(&point.host, dice);
            }
            if point.ssl && dice.once_in(3) {
                let name = match (point.aliases.first(), dice.below(3)) {
                    (Some(alias), 0) => alias.clone(),
                    (_, 1) => format!("*.{DOMAIN}"),
                    _ => point.host.clone(),
                };
                point.certificate = Some((vec![name], BEGIN + 800 * DAY));
            }
            if let Some(proxy) = point.proxy.as_mut().filter(|_| dice.once_in(3)) {
                world.traits.insert("proxy-spelling");
                proxy.server = bare(&proxy.server).to_uppercase();
            }
        }
        let component = &mut world.sites[site].component;
        component.source = if first_source.is_some() { "upstream" } else { "microsoft-update" };
        component.upstream = first_source.as_ref().map(url);
        component.above = first_source.map_or_else(|| "Microsoft Update".to_owned(), |source| source.server);
    }
    // Since 2012 the top site may synchronise from an external WSUS, or from nothing.
    if !at_2007 && dice.once_in(12) && world.top().has_sup() {
        let other = dice.once_in(2).then(|| Upstream { server: "wsus-hq.hq.example".to_owned(), port: 8530, ssl: false });
        world.traits.insert(if other.is_some() { "other-source" } else { "no-source" });
        let top = &mut world.sites[0];
        top.component.source = if other.is_some() { "upstream" } else { "none" };
        top.component.upstream = other.as_ref().map(url);
        top.component.above = other.as_ref().map_or_else(String::new, |other| other.server.clone());
        let shares = top.points[0].database.1;
        for (number, point) in top.points.iter_mut().enumerate() {
            if number == 0 || shares {
                point.from_microsoft = false;
                point.upstream = other.clone();
            }
        }
    }
}

pub fn url(upstream: &Upstream) -> String {
    format!("{}://{}:{}", if upstream.ssl { "https" } else { "http" }, upstream.server, upstream.port)
}

fn upstream_of(world: &mut World, site: usize, dice: &mut Dice) -> Upstream {
    let Some(first) = world.sites[site].points.first() else {
        return Upstream { server: world.sites[site].server.clone(), port: 8530, ssl: false };
    };
    let name = match first.aliases.first() {
        Some(alias) if dice.once_in(2) => alias.clone(),
        _ => spelled(&first.host, dice),
    };
    Upstream { server: name, port: first.port(), ssl: first.ssl }
}

/// The same server in another spelling.
pub fn spelled(host: &str, dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => bare(host).to_owned(),
        1 => host.to_uppercase(),
        2 => bare(host).to_uppercase(),
        _ => host.to_owned(),
    }
}

pub fn bare(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}

pub fn filters(world: &mut World, dice: &mut Dice) {
    let every = ["en", "ja", "de", "fr"];
    let summary: Vec<&'static str> = every[..usize::try_from(dice.between(1, 4)).expect("small")].to_vec();
    let files: Vec<&'static str> = every[..usize::try_from(dice.between(1, 5)).expect("small")].to_vec();
    let classifications: Vec<usize> = (0..usize::try_from(dice.between(1, 5)).expect("small")).collect();
    let products: Vec<usize> = (0..usize::try_from(dice.between(1, 6)).expect("small")).collect();
    let build = *dice.one_of(&["6.3.9600.18694", "10.0.14393.2969", "10.0.17763.1", "10.0.20348.143"]);
    for site in 0..world.sites.len() {
        let top = world.sites[site].parent.is_none();
        // A child may store fewer update file languages than its parent; it provides every summary language.
        let parents: Vec<&'static str> = match world.sites[site].parent {
            Some(parent) => world.sites[parent].points.first().map_or(files.clone(), |point| point.languages.clone()),
            None => files.clone(),
        };
        let own_files: Vec<&'static str> = match world.sites[site].kind {
            Kind::Primary if !top && dice.once_in(3) => {
                world.traits.insert("fewer-file-languages");
                parents.iter().copied().take(1).collect()
            }
            // A replica has the filters of its upstream server.
            Kind::Secondary => parents.clone(),
            _ => files.iter().copied().filter(|file| parents.contains(file)).collect(),
        };
        let mut languages: Vec<&'static str> = own_files.clone();
        languages.extend(summary.iter().copied().filter(|language| !own_files.contains(language)));
        if dice.once_in(2) {
            languages.reverse();
        }
        let own = &mut world.sites[site];
        own.component.languages = own_files;
        own.component.summary = match (top, dice.below(2)) {
            (true, _) => Some(summary.clone()),
            (false, 0) => Some(summary.clone()),
            _ => {
                world.traits.insert("child-without-summary-languages");
                None
            }
        };
        (own.component.classifications, own.component.products) = match (top, dice.below(6)) {
            (true, _) | (false, 0) => (Some(classifications.clone()), Some(products.clone())),
            (false, 1) if world.generation != Generation::Y2007 => {
                world.traits.insert("empty-child-filters");
                (Some(Vec::new()), Some(Vec::new()))
            }
            _ => (None, None),
        };
        let patched = !top && dice.once_in(5);
        for point in &mut own.points {
            point.languages = languages.clone();
            point.classifications = classifications.clone();
            point.products = products.clone();
            point.version = build.to_owned();
            if patched {
                world.traits.insert("patch-level");
                let (front, _) = build.rsplit_once('.').expect("a build");
                point.version = format!("{front}.21337");
            }
        }
    }
}
