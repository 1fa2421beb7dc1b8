//! Which data of each site can be read, and when things happen.

use supwatch_tests::dice::Dice;

use super::{BEGIN, DAY};
use crate::world::{Failure, HOUR, MINUTE, Place, Titles, Tongue, Trouble, World};

/// Which data of each site can be read.
pub fn telling(world: &mut World, dice: &mut Dice) {
    let ids = dice.below(4);
    let mixed = dice.once_in(6);
    let full = dice.once_in(3);
    for site in 0..world.sites.len() {
        let own = &mut world.sites[site];
        let ids = if mixed { dice.below(4) } else { ids };
        own.titles = match ids {
            0 => Titles::Ids,
            1 => Titles::Both,
            _ => Titles::Names,
        };
        if own.titles == Titles::Names && own.tongue != Tongue::English {
            world.traits.insert("localised-names");
        }
        if full {
            continue;
        }
        own.tells_wcm = !dice.once_in(6);
        own.tells_logs = !dice.once_in(12);
        own.tells_settings = !dice.once_in(5);
        own.rolled = dice.once_in(6);
        if dice.once_in(10) {
            own.lost = usize::try_from(dice.between(5, 90)).expect("small");
            world.traits.insert("short-logs");
        }
        // Aliases are known only from a site's settings.
        let alias = own.points.iter().any(|point| !point.aliases.is_empty());
        own.tells_settings |= alias;
        if !alias && dice.once_in(8) || !own.tells_logs && !own.tells_settings && dice.once_in(2) {
            own.tells_site = false;
            world.traits.insert("without-site-toml");
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
            if dice.once_in(odds) && !(alias && field == "sups.names") {
                own.lacks.push(field);
            }
        }
    }
    world.listed = dice.once_in(2);
}

pub fn times(world: &mut World, dice: &mut Dice) {
    let many = world.sites.len() > 12;
    world.gap = match dice.below(10) {
        0 => Some(12),
        1 if !many => Some(168),
        2 if !many => Some(*dice.one_of(&[6, 8, 48, 72])),
        3 => None,
        _ => Some(24),
    };
    let gap = world.gap.unwrap_or(24) * HOUR;
    let waves = match dice.below(10) {
        // Enough runs to derive the schedule.
        0 if !many => dice.between(5, 8),
        _ if many => dice.between(1, 3),
        _ => dice.between(1, 4),
    };
    world.first_run = BEGIN + dice.between(0, 300) * DAY + dice.between(0, 24 * 60) * MINUTE;
    let after = match dice.below(4) {
        0 => dice.between(0, 60) * MINUTE,
        1 => gap - dice.between(1, 30) * MINUTE,
        _ => dice.between(0, gap / MINUTE) * MINUTE,
    };
    world.now = world.first_run + (waves - 1) * gap + after + dice.between(0, 60);
    if dice.once_in(8) {
        world.traits.insert("local-request");
        world.sites[0].local_at.push(world.first_run + dice.between(0, gap / MINUTE) * MINUTE);
    }
    if waves > 1 && dice.once_in(6) {
        world.traits.insert("failed-once");
        let with_sup = world.any_sites(|_, site| site.has_sup());
        let site = *dice.one_of(&with_sup);
        let from = world.first_run - MINUTE;
        let until = from + i64::try_from(world.above(site).len()).expect("small") * 50 * MINUTE;
        let text = "The request failed with HTTP status 503: Service Unavailable";
        let source = "Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer";
        let failure =
            Failure { text: text.to_owned(), source, lines: Vec::new(), place: Place::Wsus, wcm: Vec::new(), wsus: Vec::new() };
        world.sites[site].troubles.push(Trouble { from, until, failure });
    }
    match world.gap {
        Some(24) => {}
        Some(12) => _ = world.traits.insert("12-h"),
        Some(168) => _ = world.traits.insert("7-d"),
        Some(_) => _ = world.traits.insert("own-schedule"),
        None => _ = world.traits.insert("by-hand"),
    }
}
