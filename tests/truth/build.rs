//! A healthy hierarchy of a seed: shapes, generations, names, languages and schedules as administrators have them.

use std::collections::BTreeSet;

use supwatch_tests::dice::Dice;

use crate::world::{Component, Generation, HOUR, Kind, MINUTE, Point, Proxy, Seconds, Site, Titles, Tongue, Upstream, World};

/// 2026-03-02 00:00 UTC, a Monday.
const BEGIN: Seconds = 1_772_409_600;

const DOMAIN: &str = "corp.example";

/// Directories that require SSL where WSUS uses it.
pub const SSL_DIRECTORIES: &[&str] =
    &["ApiRemoting30", "ClientWebService", "DSSAuthWebService", "ServerSyncWebService", "SimpleAuthWebService"];

/// Healthy, of this many sites if that is said.
pub fn healthy(seed: u64, sites: Option<usize>, dice: &mut Dice) -> World {
    let generation = match dice.below(100) {
        0..15 => Generation::Y2007,
        15..40 => Generation::Y2012,
        _ => Generation::Current,
    };
    let mut world = World {
        seed,
        generation,
        sites: Vec::new(),
        now: 0,
        gap: Some(24),
        first_run: 0,
        scheduler_stops: None,
        traits: BTreeSet::new(),
        listed: false,
        twin: None,
        judged_at_now: dice.once_in(2),
    };
    shape(&mut world, sites.unwrap_or_else(|| size(dice)), dice);
    for site in 0..world.sites.len() {
        servers(&mut world, site, dice);
    }
    sources(&mut world, dice);
    filters(&mut world, dice);
    telling(&mut world, dice);
    times(&mut world, dice);
    world
}

fn size(dice: &mut Dice) -> usize {
    let number = match dice.below(400) {
        0 => dice.between(100, 301),
        1..9 => dice.between(20, 60),
        _ => dice.between(1, 9),
    };
    usize::try_from(number).expect("small")
}

/// One code a site: P01, S0A.
fn code(letter: char, number: usize) -> String {
    let digit = |value: usize| char::from_digit(u32::try_from(value % 36).expect("small"), 36).expect("a digit");
    format!("{letter}{}{}", digit(number / 36), digit(number)).to_uppercase()
}

fn shape(world: &mut World, sites: usize, dice: &mut Dice) {
    if sites == 1 || sites <= 4 && dice.once_in(2) {
        add(world, code('P', 1), Kind::Primary, None, dice);
        for number in 1..sites {
            add(world, code('S', number), Kind::Secondary, Some(0), dice);
        }
        return;
    }
    add(world, "CEN".to_owned(), Kind::Central, None, dice);
    let mut primaries = vec![add(world, code('P', 1), Kind::Primary, Some(0), dice)];
    // At most 25 primaries below a central site; the rest are secondaries.
    for number in 2..sites {
        if primaries.len() < 25 && dice.once_in(2) {
            // Since 2012 a primary hangs below the central site alone.
            let under_another = world.generation == Generation::Y2007 && dice.once_in(4);
            let parent = if under_another { *dice.one_of(&primaries) } else { 0 };
            primaries.push(add(world, code('P', number), Kind::Primary, Some(parent), dice));
        } else {
            let parent = *dice.one_of(&primaries);
            add(world, code('S', number), Kind::Secondary, Some(parent), dice);
        }
    }
}

fn add(world: &mut World, code: String, kind: Kind, parent: Option<usize>, dice: &mut Dice) -> usize {
    let tongue = *dice.one_of(&[Tongue::English, Tongue::English, Tongue::Japanese, Tongue::German]);
    let bias = match tongue {
        Tongue::English => *dice.one_of(&[0, 300, 480, 0]),
        Tongue::Japanese => -540,
        Tongue::German => -60,
    };
    let clock = if dice.once_in(3) { dice.between(-60, 61) } else { 0 };
    world.sites.push(Site {
        server: format!("{}.{DOMAIN}", code.to_lowercase()),
        code,
        kind,
        parent,
        tongue,
        bias,
        clock,
        points: Vec::new(),
        component: Component::default(),
        console: true,
        native: false,
        tells_logs: true,
        tells_wcm: true,
        tells_settings: true,
        tells_site: true,
        as_dump: false,
        rolled: false,
        titles: Titles::Names,
        lacks: Vec::new(),
        earlier_summary: None,
        claims_parent: None,
        troubles: Vec::new(),
        deaf_from: None,
        hangs_from: None,
        version_kept_from: None,
        local_at: Vec::new(),
        version: 30,
        runs: Vec::new(),
        busy_until: 0,
        wcm_minute: dice.between(0, 60),
        wsync: Vec::new(),
        wcm: Vec::new(),
    });
    world.sites.len() - 1
}

fn servers(world: &mut World, site: usize, dice: &mut Dice) {
    let (kind, code) = (world.sites[site].kind, world.sites[site].code.to_lowercase());
    if kind == Kind::Secondary && dice.once_in(5) {
        world.traits.insert("secondary-without-sup");
        return;
    }
    let ssl = dice.once_in(5);
    let own_ports = dice.once_in(6);
    world.sites[site].native = world.generation == Generation::Y2007 && ssl && dice.once_in(2);
    let count = match (kind, dice.below(12)) {
        (Kind::Secondary, _) | (_, 0..9) => 1,
        (_, 9 | 10) => 2,
        _ => 3,
    };
    let on_site_server = dice.once_in(4);
    for number in 0..count {
        let host = match number {
            0 if on_site_server => world.sites[site].server.clone(),
            0 => format!("{code}-sup.{DOMAIN}"),
            more => format!("{code}-sup{}.{DOMAIN}", more + 1),
        };
        let internet = number > 0 && dice.once_in(2);
        if number > 0 {
            world.traits.insert(if internet { "internet-sup" } else { "several-sups" });
        }
        let point = point(host, internet, ssl, own_ports, dice);
        world.sites[site].points.push(point);
    }
    if dice.once_in(6) {
        world.traits.insert("alias");
        world.sites[site].points[0].aliases = vec![format!("{code}-vip.{DOMAIN}")];
    }
    if ssl {
        world.traits.insert("ssl");
    }
    if count > 1 && world.generation != Generation::Y2007 && dice.once_in(3) {
        world.traits.insert("shared-susdb");
        let instance = *dice.one_of(&["", "\\WSUS", ",1433"]);
        for (number, point) in world.sites[site].points.iter_mut().enumerate() {
            let server = format!("{code}-sql.{DOMAIN}");
            let spelled = if number % 2 == 1 && allowed("database-spelling") { bare(&server).to_uppercase() } else { server };
            point.database = (format!("{spelled}{instance}"), true);
        }
        if instance.is_empty() {
            world.traits.insert("database-spelling");
        }
    }
}

fn point(host: String, internet: bool, ssl: bool, own_ports: bool, dice: &mut Dice) -> Point {
    let (http, https) = if own_ports { (80, 443) } else { (8530, 8531) };
    let proxy = dice.once_in(6).then(|| Proxy { server: format!("proxy.{DOMAIN}"), port: 8080, account: dice.once_in(2) });
    let mut services = vec![("WsusService", Some("running")), ("W3SVC", Some("running"))];
    match dice.below(4) {
        0 => services.push(("IISADMIN", Some("running"))),
        1 if allowed("null-service") => services.push(("IISADMIN", None)),
        _ => {}
    }
    Point {
        role_name: host.clone(),
        wsus_name: host.clone(),
        host,
        aliases: Vec::new(),
        internet,
        ssl,
        http,
        https,
        role_proxy: proxy.clone(),
        version: "10.0.17763.1".to_owned(),
        from_microsoft: false,
        upstream: None,
        replica: false,
        languages: Vec::new(),
        all_languages: false,
        classifications: Vec::new(),
        products: Vec::new(),
        proxy,
        web_http: http,
        web_https: https,
        ssl_directories: if ssl { SSL_DIRECTORIES.to_vec() } else { Vec::new() },
        services,
        pool: ("started", *dice.one_of(&[0, 4_194_304, 8_388_608]), *dice.one_of(&[2000, 25_000])),
        api_status: 200,
        dss_status: 200,
        database: ("MICROSOFT##WID".to_owned(), false),
        certificate: None,
        outside: None,
    }
}

/// Who takes from whom, and by which name.
fn sources(world: &mut World, dice: &mut Dice) {
    let at_2007 = world.generation == Generation::Y2007;
    for site in 0..world.sites.len() {
        if !world.sites[site].has_sup() {
            continue;
        }
        let first_source = match world.sites[site].parent {
            Some(parent) => Some(upstream_of(world, parent, dice)),
            None => None,
        };
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
                    (Some(alias), 0) if allowed("certificate-for-alias") => alias.clone(),
                    (_, 1) => format!("*.{DOMAIN}"),
                    _ => point.host.clone(),
                };
                point.certificate = Some((vec![name], BEGIN + 400 * 24 * HOUR));
            }
            if let Some(proxy) = point.proxy.as_mut().filter(|_| dice.once_in(3) && allowed("proxy-spelling")) {
                world.traits.insert("proxy-spelling");
                proxy.server = bare(&proxy.server).to_uppercase();
            }
        }
        let component = &mut world.sites[site].component;
        component.source = if first_source.is_some() { "upstream" } else { "microsoft-update" };
        component.upstream = first_source.as_ref().map(url);
    }
    // Since 2012 the top site may take from a WSUS outside, or from nobody.
    if !at_2007 && dice.once_in(12) && world.top().has_sup() {
        let other = dice.once_in(2).then(|| Upstream { server: "wsus-hq.hq.example".to_owned(), port: 8530, ssl: false });
        world.traits.insert(if other.is_some() { "other-source" } else { "no-source" });
        let top = &mut world.sites[0];
        top.component.source = if other.is_some() { "upstream" } else { "none" };
        top.component.upstream = other.as_ref().map(url);
        let shares = top.points[0].database.1;
        for (number, point) in top.points.iter_mut().enumerate() {
            if number == 0 || shares {
                point.from_microsoft = false;
                point.upstream = other.clone();
            }
        }
    }
}

fn url(upstream: &Upstream) -> String {
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

fn filters(world: &mut World, dice: &mut Dice) {
    let every = ["en", "ja", "de", "fr"];
    let summary: Vec<&'static str> = every[..usize::try_from(dice.between(1, 4)).expect("small")].to_vec();
    let files: Vec<&'static str> = every[..usize::try_from(dice.between(1, 5)).expect("small")].to_vec();
    let classifications: Vec<usize> = (0..usize::try_from(dice.between(1, 5)).expect("small")).collect();
    let products: Vec<usize> = (0..usize::try_from(dice.between(1, 6)).expect("small")).collect();
    let build = *dice.one_of(&["6.3.9600.18694", "10.0.14393.2969", "10.0.17763.1", "10.0.20348.143"]);
    for site in 0..world.sites.len() {
        let top = world.sites[site].parent.is_none();
        // A child may store fewer files than its parent; it provides every summary language.
        let parents: Vec<&'static str> = match world.sites[site].parent {
            Some(parent) => world.sites[parent].points.first().map_or(files.clone(), |point| point.languages.clone()),
            None => files.clone(),
        };
        let own_files: Vec<&'static str> = match world.sites[site].kind {
            Kind::Primary if !top && dice.once_in(3) => {
                world.traits.insert("fewer-file-languages");
                parents.iter().copied().take(1).collect()
            }
            // A replica has what its upstream server has.
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
            _ if allowed("child-without-summary-languages") => {
                world.traits.insert("child-without-summary-languages");
                None
            }
            _ => Some(summary.clone()),
        };
        (own.component.classifications, own.component.products) = match (top, dice.below(6)) {
            (true, _) | (false, 0) => (Some(classifications.clone()), Some(products.clone())),
            (false, 1) if world.generation != Generation::Y2007 && allowed("empty-child-filters") => {
                world.traits.insert("empty-child-filters");
                (Some(Vec::new()), Some(Vec::new()))
            }
            _ => (None, None),
        };
        let patched = !top && dice.once_in(5) && allowed("patch-level");
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
    if dice.once_in(20) {
        world.traits.insert("all-languages-at-the-top");
        for point in &mut world.sites[0].points {
            point.all_languages = true;
        }
        world.sites[0].component.languages = every.to_vec();
    }
}

/// What can be read of each site.
fn telling(world: &mut World, dice: &mut Dice) {
    let ids = dice.below(4);
    let full = dice.once_in(3);
    for site in 0..world.sites.len() {
        let own = &mut world.sites[site];
        own.titles = match ids {
            0 => Titles::Ids,
            1 if allowed("id-and-name") => Titles::Both,
            _ => Titles::Names,
        };
        if own.titles == Titles::Names && own.tongue != Tongue::English {
            if allowed("localised-names") {
                world.traits.insert("localised-names");
            } else {
                own.titles = Titles::Ids;
            }
        }
        if ids == 2 && own.titles == Titles::Names && !allowed("localised-names") {
            own.titles = Titles::Ids;
        }
        if full {
            continue;
        }
        own.tells_wcm = !dice.once_in(6);
        own.tells_logs = !dice.once_in(12);
        own.tells_settings = !dice.once_in(5);
        own.rolled = dice.once_in(6);
        if !own.tells_logs && !own.tells_settings {
            own.tells_site = dice.once_in(2);
        }
        for (field, odds) in [
            ("site_server.wsus_console", 8),
            ("component.languages", 10),
            ("component.summary_languages", 10),
            ("component.schedule_hours", 6),
            ("component.classifications", 10),
            ("component.products", 10),
            ("component.sync_source", 8),
            ("component", 15),
            ("wsus.website", 6),
            ("wsus.services", 6),
            ("wsus.app_pool", 6),
            ("wsus.virtual_directories", 3),
            ("wsus.wsus_sync", 6),
            ("wsus.database", 6),
            ("wsus.is_replica", 10),
            ("wsus.upstream", 10),
            ("wsus.languages", 10),
            ("wsus.products", 10),
            ("wsus.proxy", 10),
            ("wsus.version", 10),
            ("sups.proxy", 10),
            ("sups.ssl", 15),
            ("sups.names", 6),
            ("sups.first", 15),
            ("sup_status", 3),
            ("wsus", 20),
        ] {
            if dice.once_in(odds) {
                own.lacks.push(field);
            }
        }
    }
    world.listed = dice.once_in(2);
}

fn times(world: &mut World, dice: &mut Dice) {
    let many = world.sites.len() > 12;
    world.gap = match dice.below(10) {
        0 => Some(12),
        1 if !many => Some(168),
        2 if !many => Some(*dice.one_of(&[6, 8, 48, 72])),
        3 => None,
        _ => Some(24),
    };
    let gap = world.gap.unwrap_or(24) * HOUR;
    let waves = if many { dice.between(1, 3) } else { dice.between(1, 5) };
    world.first_run = BEGIN + dice.between(0, 300) * 24 * HOUR + dice.between(0, 24 * 60) * MINUTE;
    let after = match dice.below(4) {
        0 => dice.between(0, 60) * MINUTE,
        1 => gap - dice.between(1, 30) * MINUTE,
        _ => dice.between(0, gap / MINUTE) * MINUTE,
    };
    world.now = world.first_run + (waves - 1) * gap + after + dice.between(0, 60);
    match world.gap {
        Some(24) => {}
        Some(12) => _ = world.traits.insert("12-h"),
        Some(168) => _ = world.traits.insert("7-d"),
        Some(_) => _ = world.traits.insert("own-schedule"),
        None => _ = world.traits.insert("by-hand"),
    }
}

/// Whether a trait is used: see `NOT_YET`.
pub fn allowed(name: &str) -> bool {
    crate::oracle::right_already(name)
}
