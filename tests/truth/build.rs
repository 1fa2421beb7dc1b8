//! Builds a healthy hierarchy from a seed: shapes, generations, names, languages and schedules as administrators have them.

use std::collections::BTreeSet;

use supwatch_tests::dice::Dice;

use crate::world::{Component, DAY, Generation, Kind, Point, Proxy, Seconds, Site, Titles, Tongue, World, Zone};

mod sources;
mod telling;

pub use sources::bare;

/// 2026-03-02 00:00 UTC, a Monday.
const BEGIN: Seconds = 1_772_409_600;

const DOMAIN: &str = "corp.example";

const ENGLISH_ZONES: &[Zone] = &[
    Zone { iana: "UTC", names: ["Coordinated Universal Time", "Coordinated Universal Time"] },
    Zone { iana: "Europe/London", names: ["GMT Standard Time", "GMT Daylight Time"] },
    Zone { iana: "America/New_York", names: ["Eastern Standard Time", "Eastern Daylight Time"] },
    Zone { iana: "America/Los_Angeles", names: ["Pacific Standard Time", "Pacific Daylight Time"] },
    Zone { iana: "Australia/Sydney", names: ["AUS Eastern Standard Time", "AUS Eastern Daylight Time"] },
    Zone { iana: "Asia/Kolkata", names: ["India Standard Time", "India Daylight Time"] },
];
const TOKYO: Zone = Zone { iana: "Asia/Tokyo", names: ["東京 (標準時)", "東京 (標準時)"] };
const BERLIN: Zone = Zone { iana: "Europe/Berlin", names: ["Mitteleuropäische Zeit", "Mitteleuropäische Sommerzeit"] };

/// Directories that require SSL where WSUS uses it.
pub const SSL_DIRECTORIES: &[&str] =
    &["ApiRemoting30", "ClientWebService", "DSSAuthWebService", "ServerSyncWebService", "SimpleAuthWebService"];

/// Builds a healthy hierarchy.
pub fn healthy(dice: &mut Dice) -> World {
    let generation = match dice.below(100) {
        0..15 => Generation::Y2007,
        15..40 => Generation::Y2012,
        _ => Generation::Current,
    };
    let mut world = World {
        generation,
        sites: Vec::new(),
        now: 0,
        gap: Some(24),
        first_run: 0,
        scheduler_stops: None,
        traits: BTreeSet::new(),
        listed: false,
        unlisted: None,
        twin: None,
        judged_at_now: dice.once_in(2),
    };
    shape(&mut world, size(dice), dice);
    for site in 0..world.sites.len() {
        servers(&mut world, site, dice);
    }
    sources::sources(&mut world, dice);
    sources::filters(&mut world, dice);
    telling::telling(&mut world, dice);
    telling::times(&mut world, dice);
    world
}

fn size(dice: &mut Dice) -> usize {
    let number = match dice.below(400) {
        0 => dice.between(100, 301),
        1..6 => dice.between(20, 60),
        _ => dice.between(1, 7),
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
            // Since 2012 a primary site's parent is always the central site.
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
    let zone = match tongue {
        Tongue::English => dice.one_of(ENGLISH_ZONES),
        Tongue::Japanese => &TOKYO,
        Tongue::German => &BERLIN,
    };
    let clock = if dice.once_in(3) { dice.between(-60, 61) } else { 0 };
    world.sites.push(Site {
        server: format!("{}.{DOMAIN}", code.to_lowercase()),
        code,
        kind,
        parent,
        tongue,
        zone,
        ansi: dice.once_in(2),
        clock,
        points: Vec::new(),
        component: Component::default(),
        console: true,
        native: false,
        tells_logs: true,
        tells_wcm: true,
        tells_settings: true,
        tells_site: true,
        rolled: false,
        lost: 0,
        titles: Titles::Names,
        lacks: Vec::new(),
        snapshot_age: dice.between(0, 50 * 60),
        earlier_summary: None,
        claims_parent: None,
        claims_kind: None,
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
        wsus: Vec::new(),
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
            let spelled = if number % 2 == 1 { bare(&server).to_uppercase() } else { server };
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
    let anonymous = dice.once_in(3);
    let mut services = vec![("WsusService", Some("running")), ("W3SVC", Some("running"))];
    match dice.below(4) {
        0 => services.push(("IISADMIN", Some("running"))),
        1 => services.push(("IISADMIN", None)),
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
        api_status: if anonymous { 401 } else { 200 },
        api_authenticated: !anonymous,
        dss_status: 200,
        database: ("MICROSOFT##WID".to_owned(), false),
        certificate: None,
        reach: dice.once_in(2).then_some("answers"),
        outside: None,
    }
}
