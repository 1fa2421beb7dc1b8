//! Nothing fails, but something does not happen, or happens where it must not.

use supwatch_tests::dice::Dice;

use super::{Expected, Fault, child, fault, name, named, pick, pick_point, top};
use crate::world::{HOUR, MINUTE, Seconds, Site, World};

fn depth(world: &World, site: usize) -> Seconds {
    Seconds::try_from(world.above(site).len()).expect("small")
}

fn hang(world: &mut World, dice: &mut Dice) -> Option<Expected> {
    let site = pick_point(world, dice, |_, _, _| true)?;
    let wave = world.last_wave();
    world.sites[site].hangs_from = Some(wave);
    // The limit is two hours.
    world.at_least_until(wave + depth(world, site) * 45 * MINUTE + 4 * HOUR);
    named(world, site, "sync-stuck")
}

fn scheduler(world: &mut World, dice: &mut Dice) -> Option<Expected> {
    let gap = world.gap? * HOUR;
    if world.sites.len() > 12 || gap > 48 * HOUR {
        return None;
    }
    let site = pick_point(world, dice, |world, site, _| top(world, site))?;
    let wave = world.last_wave();
    world.scheduler_stops = Some(wave + MINUTE);
    world.sites[site].local_at.clear();
    let gaps = dice.between(22, 60);
    world.now = wave + gap * gaps / 10 + 2 * HOUR;
    named(world, site, "sync-overdue")
}

fn deaf(world: &mut World, dice: &mut Dice) -> Option<Expected> {
    let site = pick_point(world, dice, |world, site, _| child(world, site))?;
    let wave = world.last_wave();
    world.sites[site].deaf_from = Some(wave);
    world.at_least_until(wave + depth(world, site) * 45 * MINUTE + 3 * HOUR);
    named(world, site, "wave-missed")
}

fn stale(world: &mut World, dice: &mut Dice) -> Option<Expected> {
    let leaf = |world: &World, site: &Site| {
        !world.sites.iter().any(|other| other.parent.is_some_and(|at| world.sites[at].code == site.code))
    };
    let site = pick_point(world, dice, |world, site, _| child(world, site) && leaf(world, site))?;
    let wave = world.last_wave();
    world.sites[site].version_kept_from = Some(wave);
    world.at_least_until(wave + depth(world, site) * 45 * MINUTE + 2 * HOUR);
    named(world, site, "catalog-lag")
}

/// A moment between two waves when no run is in progress.
fn between(world: &mut World, site: usize, dice: &mut Dice) -> Seconds {
    let wave = world.last_wave();
    let at = wave + depth(world, site) * 45 * MINUTE + dice.between(60, 120) * MINUTE;
    world.now = world.now.max(at + HOUR);
    at
}

fn outside(world: &mut World, dice: &mut Dice) -> Option<Expected> {
    if world.gap_seconds() < 12 * HOUR {
        return None;
    }
    let site = pick_point(world, dice, |_, _, _| true)?;
    for own in &mut world.sites {
        own.local_at.clear();
    }
    let at = between(world, site, dice);
    world.now = at + dice.between(70, 130) * MINUTE;
    world.sites[site].points[0].outside = Some((at, false));
    named(world, site, "sync-started-outside")
}

fn local(world: &mut World, dice: &mut Dice) -> Option<Expected> {
    if world.gap_seconds() < 12 * HOUR {
        return None;
    }
    let site = pick_point(world, dice, |world, site, _| child(world, site))?;
    for own in &mut world.sites {
        own.local_at.clear();
    }
    let at = between(world, site, dice);
    world.now = at + dice.between(40, 100) * MINUTE;
    world.sites[site].local_at.push(at);
    named(world, site, "sync-started-outside")
}

fn cut_off(world: &mut World, dice: &mut Dice) -> Option<Expected> {
    // A secondary site that is never notified of a wave logs nothing about it; only a primary site's log shows it.
    let site = pick(world, dice, |world, site| child(world, site) && site.has_sup() && site.kind == crate::world::Kind::Primary)?;
    let gap = world.gap? * HOUR;
    if world.sites.len() > 12 || gap > 24 * HOUR {
        return None;
    }
    let wave = world.last_wave();
    world.sites[site].deaf_from = Some(wave);
    world.now = wave + gap * 3 + 3 * HOUR;
    Some(Expected(vec![name(world, site, "wave-missed", None)]))
}

pub fn all() -> Vec<Fault> {
    vec![
        fault("hangs", hang),
        fault("schedule-stops", scheduler),
        fault("deaf", deaf),
        fault("deaf-for-days", cut_off),
        fault("stale", stale),
        fault("started-outside", outside),
        fault("started-at-a-child", local),
    ]
}
