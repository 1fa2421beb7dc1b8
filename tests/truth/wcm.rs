//! Lines of WSUS Configuration Manager: once an hour it connects to WSUS and configures it.

use crate::story::status;
use crate::world::{HOUR, Line, MINUTE, Point, Seconds, World};

const THREAD: u32 = 4620;
/// Hours of log before the newest runs, after them, and before the end: enough of a component that repeats itself.
const HOURS: i64 = 1;

/// Writes `WCM.log` of a site.
pub fn write(world: &mut World, site: usize) {
    let own = &world.sites[site];
    if !own.has_sup() {
        return;
    }
    let runs: Vec<Seconds> =
        own.runs.iter().rev().filter(|run| run.wsus_from <= world.now).take(2).map(|run| run.wsus_from).collect();
    let near = |at: Seconds| world.now - at < HOURS * HOUR || runs.iter().any(|run| (-HOUR..HOURS * HOUR).contains(&(at - run)));
    let mut at = world.first_run - 2 * HOUR + own.wcm_minute * MINUTE;
    let mut lines = Vec::new();
    while at <= world.now {
        if near(at) {
            cycle(world, site, at, &mut lines);
        }
        at += HOUR;
    }
    world.sites[site].wcm = lines;
}

fn cycle(world: &World, site: usize, at: Seconds, lines: &mut Vec<Line>) {
    let own = &world.sites[site];
    let point = &own.points[0];
    let wrong = own.trouble_at(at).filter(|failure| !failure.wcm.is_empty());
    let mut said = vec![
        (0, "Wait timed out after 60 minutes while waiting for at least one trigger event.".to_owned()),
        (0, "Checking for supported version of WSUS".to_owned()),
        (1, "Supported WSUS version found".to_owned()),
        (1, format!("Attempting connection to {}", connection(point))),
    ];
    if let Some(failure) = wrong {
        said.extend(failure.wcm.iter().map(|line| (3, line.clone())));
        said.push((3, "Remote configuration failed on WSUS Server.".to_owned()));
        let host = point.role_name.as_str();
        said.push((3, status("SMS_WSUS_CONFIGURATION_MANAGER", world, site, at + 3, (6600, 'E'), [host, ""])));
        said.push((4, "Setting new configuration state to 3 (WSUS_CONFIG_FAILED)".to_owned()));
    } else {
        let above = &own.component.above;
        said.push((2, format!("Successfully connected to {}", connection(point).replace("WSUS server", "server"))));
        said.push((2, "Verify Upstream Server settings on the Active WSUS Server".to_owned()));
        if !above.is_empty() {
            let text = "No changes - WSUS Server settings are correctly configured and Upstream Server is set to";
            said.push((3, format!("{text} {above}")));
        }
        said.push((4, "Setting new configuration state to 2 (WSUS_CONFIG_SUCCESS)".to_owned()));
    }
    said.push((4, "Waiting for changes for 60 minutes".to_owned()));
    lines.extend(said.into_iter().map(|(after, text)| Line { at: at + after, text, thread: THREAD }));
}

fn connection(point: &Point) -> String {
    let ssl = if point.ssl { "True" } else { "False" };
    format!("WSUS server: {}, port: {}, useSSL: {ssl}", point.role_name, point.port())
}
