//! Languages, classifications and products that differ where they must not.

use supwatch_tests::dice::Dice;

use super::{Expected, Fault, by_ids, child, fault, name, named, pick_point, top};
use crate::world::{CLASSIFICATIONS, Kind, PRODUCTS, Point, Site, World};

/// At the first WSUS of a child primary site; any rule that compares it with its parent or its component may name it.
fn of_child(name_of: &'static str, rules: &'static [&'static str], fits: fn(&Point) -> bool, change: fn(&mut Point)) -> Fault {
    fault(name_of, move |world, dice| {
        by_ids(world, dice);
        let site = pick_point(world, dice, |world, site, point| {
            child(world, site) && site.kind == Kind::Primary && site.points.len() == 1 && leaf(world, site) && fits(point)
        })?;
        change(&mut world.sites[site].points[0]);
        Some(Expected(rules.iter().map(|rule| name(world, site, rule, None)).collect()))
    })
}

fn leaf(world: &World, site: &Site) -> bool {
    !world.sites.iter().any(|other| other.parent.is_some_and(|parent| world.sites[parent].code == site.code))
}

/// At the first WSUS of the top site, selected in its own console.
fn of_top(name_of: &'static str, fits: fn(&Point) -> bool, change: fn(&mut Point)) -> Fault {
    fault(name_of, move |world, dice: &mut Dice| {
        by_ids(world, dice);
        let site = pick_point(world, dice, |world, site, point| top(world, site) && site.points.len() == 1 && fits(point))?;
        change(&mut world.sites[site].points[0]);
        named(world, site, "filter-drift")
    })
}

const CLASSES: &[&str] = &["classification-mismatch", "filter-drift"];
const GOODS: &[&str] = &["product-mismatch", "filter-drift"];

pub fn all() -> Vec<Fault> {
    vec![
        of_child(
            "child-classification-missing",
            CLASSES,
            |point| point.classifications.len() > 1,
            |point| {
                point.classifications.remove(0);
            },
        ),
        of_child(
            "child-classification-extra",
            CLASSES,
            |point| point.classifications.len() < CLASSIFICATIONS.len(),
            |point| {
                point.classifications.push(CLASSIFICATIONS.len() - 1);
            },
        ),
        of_child(
            "child-product-missing",
            GOODS,
            |point| point.products.len() > 1,
            |point| {
                point.products.remove(0);
            },
        ),
        of_child(
            "child-product-extra",
            GOODS,
            |point| point.products.len() < PRODUCTS.len(),
            |point| {
                point.products.push(PRODUCTS.len() - 1);
            },
        ),
        of_child("child-language-extra", &["language-mismatch", "filter-drift"], |_| true, |point| point.languages.push("ko")),
        of_child(
            "child-summary-language-missing",
            &["language-mismatch", "filter-drift"],
            |point| point.languages.len() > 1,
            |point| {
                // English is a summary language everywhere.
                point.languages.retain(|language| *language != "en");
            },
        ),
        of_top("top-product-extra", |point| point.products.len() < PRODUCTS.len(), |point| point.products.push(PRODUCTS.len() - 1)),
        of_top(
            "top-product-missing",
            |point| point.products.len() > 1,
            |point| {
                point.products.remove(0);
            },
        ),
        of_top(
            "top-classification-extra",
            |point| point.classifications.len() < CLASSIFICATIONS.len(),
            |point| {
                point.classifications.push(CLASSIFICATIONS.len() - 1);
            },
        ),
        of_top(
            "top-classification-missing",
            |point| point.classifications.len() > 1,
            |point| {
                point.classifications.remove(0);
            },
        ),
        of_top("top-language-extra", |_| true, |point| point.languages.push("ko")),
        of_top("top-language-missing", |point| point.languages.len() > 1, |point| point.languages.retain(|own| *own != "en")),
        of_top("top-all-languages", |_| true, |point| point.all_languages = true),
        fault("secondary-language-extra", |world, dice| {
            let site = pick_point(world, dice, |world, site, _| child(world, site) && site.kind == Kind::Secondary)?;
            world.sites[site].points[0].languages.push("ko");
            Some(Expected(vec![name(world, site, "language-mismatch", None), name(world, site, "filter-drift", None)]))
        }),
        fault("summary-language-late", |world, dice| {
            let before = world.now - world.last_wave();
            if world.last_wave() == world.first_run || before < 3600 {
                return None;
            }
            let site = pick_point(world, dice, |world, site, _| {
                top(world, site) && site.component.summary.as_ref().is_some_and(|summary| summary.len() > 1)
            })?;
            let summary = world.sites[site].component.summary.clone()?;
            world.sites[site].earlier_summary = Some(summary[..1].to_vec());
            named(world, site, "languages-added-late")
        }),
    ]
}
