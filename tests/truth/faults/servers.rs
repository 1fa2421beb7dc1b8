//! A server is misconfigured, and the newest snapshot shows it; earlier runs succeeded.

use supwatch_tests::dice::Dice;

use super::{Fault, fault, named, pick, pick_point};
use crate::build::bare;
use crate::world::{DAY, Generation, Point, Proxy, Site, World};

type Fits = fn(&World, &Site, &Point) -> bool;
type Change = fn(&mut Point, &mut Dice);

const ANY: Fits = |_, _, _| true;

fn at_first(name: &'static str, rule: &'static str, fits: Fits, change: Change) -> Fault {
    fault(name, move |world, dice| {
        let site = pick_point(world, dice, fits)?;
        change(&mut world.sites[site].points[0], dice);
        named(world, site, rule)
    })
}

/// At a further SUP.
fn at_further(name: &'static str, rule: &'static str, fits: Fits, change: Change) -> Fault {
    fault(name, move |world, dice| {
        let site = pick(world, dice, |world, site| site.points.get(1).is_some_and(|point| fits(world, site, point)))?;
        change(&mut world.sites[site].points[1], dice);
        named(world, site, rule)
    })
}

fn set(point: &mut Point, service: &'static str, state: &'static str) {
    point.services.retain(|(own, _)| *own != service);
    point.services.push((service, Some(state)));
}

const PROXIED: Fits = |_, _, point| point.proxy.is_some();

fn of_wsus(point: &mut Point) -> &mut Proxy {
    point.proxy.as_mut().expect("a proxy")
}

pub fn all() -> Vec<Fault> {
    let mut all = vec![
        at_first("http-port", "port-mismatch", ANY, |point, _| point.web_http = 8080),
        at_first("https-port", "port-mismatch", |_, _, point| point.ssl, |point, _| point.web_https = 9443),
        at_further("port-of-a-further-sup", "port-mismatch", ANY, |point, _| point.web_http = 8080),
        at_first("web-site-refuses", "port-mismatch", ANY, |point, _| point.reach = Some("refused")),
        at_first(
            "directory-lets-plain-http",
            "ssl-mismatch",
            |_, _, point| point.ssl,
            |point, dice| {
                let at = usize::try_from(dice.below(5)).expect("small");
                point.ssl_directories.remove(at);
            },
        ),
        at_first(
            "directories-want-ssl",
            "ssl-mismatch",
            |_, _, point| !point.ssl,
            |point, dice| {
                let count = usize::try_from(dice.between(1, 6)).expect("small");
                point.ssl_directories = crate::build::SSL_DIRECTORIES[..count].to_vec();
            },
        ),
        at_first("content-wants-ssl", "ssl-mismatch", |_, _, point| point.ssl, |point, _| point.ssl_directories.push("Content")),
        at_first(
            "certificate-of-another-name",
            "ssl-mismatch",
            |_, _, point| point.ssl,
            |point, _| {
                point.certificate = Some((vec!["www.other.example".to_owned()], 4_000_000_000));
            },
        ),
        at_first("name-of-sup-unknown-to-dns", "fqdn-mismatch", ANY, |point, _| point.reach = Some("name-not-resolved")),
        at_first("another-proxy", "proxy-mismatch", PROXIED, |point, _| of_wsus(point).server = "proxy2.corp.example".into()),
        at_first("another-proxy-port", "proxy-mismatch", PROXIED, |point, _| of_wsus(point).port = 3128),
        at_first("proxy-not-in-wsus", "proxy-mismatch", PROXIED, |point, _| point.proxy = None),
        at_first(
            "proxy-in-wsus-alone",
            "proxy-mismatch",
            |_, _, point| point.proxy.is_none(),
            |point, _| {
                point.proxy = Some(Proxy { server: "proxy.corp.example".into(), port: 8080, account: false });
            },
        ),
        at_first("proxy-account-in-one", "proxy-mismatch", PROXIED, |point, _| {
            let proxy = of_wsus(point);
            proxy.account = !proxy.account;
        }),
        at_first("api-refuses-401", "vdir-access", ANY, |point, _| (point.api_status, point.api_authenticated) = (401, true)),
        at_first("api-refuses-403", "vdir-access", ANY, |point, _| (point.api_status, point.api_authenticated) = (403, true)),
        at_first("dss-refuses", "vdir-access", ANY, |point, _| point.dss_status = 401),
        at_first("wsus-service-stopped", "service-stopped", ANY, |point, _| set(point, "WsusService", "stopped")),
        at_first("web-service-stopped", "service-stopped", ANY, |point, _| set(point, "W3SVC", "stopped")),
        at_first("iis-admin-stopped", "service-stopped", ANY, |point, _| set(point, "IISADMIN", "stopped")),
        at_first("wsus-service-paused", "service-stopped", ANY, |point, _| set(point, "WsusService", "paused")),
        at_first("pool-stopped", "app-pool", ANY, |point, _| point.pool.0 = "stopped"),
        at_first("pool-of-little-memory", "app-pool", ANY, |point, _| point.pool.1 = 1_843_200),
        at_first("pool-of-short-queue", "app-pool", ANY, |point, _| point.pool.2 = 1000),
        at_first("pool-answers-503", "app-pool", ANY, |point, _| (point.api_status, point.api_authenticated) = (503, true)),
    ];
    all.push(fault("certificate-expired", |world, dice| {
        let site = pick_point(world, dice, |_, _, point| point.ssl)?;
        let (end, host) = (world.first_run - 3 * DAY, world.sites[site].points[0].host.clone());
        world.sites[site].points[0].certificate = Some((vec![host], end));
        named(world, site, "ssl-mismatch")
    }));
    all.push(fault("another-wsus-name", |world, dice| {
        let site = pick_point(world, dice, |_, site, _| site.points.len() == 1)?;
        let own = &mut world.sites[site];
        own.points[0].wsus_name = format!("{}-old.corp.example", bare(&own.points[0].host));
        // Removes lines that show that the name works.
        own.tells_wcm = false;
        named(world, site, "fqdn-mismatch")
    }));
    all.push(fault("no-console", |world, dice| {
        let site = pick_point(world, dice, |_, site, point| point.host != site.server)?;
        world.sites[site].console = false;
        named(world, site, "wsus-console-missing")
    }));
    all.push(fault("newer-than-upstream", |world, dice| {
        let site = pick_point(world, dice, |world, site, _| super::child(world, site))?;
        for point in &mut world.sites[site].points {
            point.version = "10.0.26100.1".to_owned();
        }
        named(world, site, "wsus-version")
    }));
    all.push(fault("native-without-ssl", |world, dice| {
        let site = pick_point(world, dice, |world, site, point| {
            world.generation == Generation::Y2007 && !point.ssl && site.points.len() == 1
        })?;
        world.sites[site].native = true;
        named(world, site, "ssl-mismatch")
    }));
    all
}
