//! `supwatch events`: stored events, and new ones as they arrive.

use supwatch_model::event::StoredEvent;
use supwatch_model::ids::SiteCode;
use supwatch_proto::time::to_wire;
use supwatch_proto::wire;

use super::client::{self, client};
use super::part::Part;
use super::{Failure, Global, Outcome, print_more, runtime};
use crate::show::render::events;

#[derive(Debug, clap::Args)]
pub(super) struct Events {
    #[command(flatten)]
    part: Part,
    /// Only these kinds, such as run-failed
    #[arg(long)]
    kind: Vec<String>,
    /// Number of newest events; 0: all
    #[arg(long, default_value_t = 50)]
    last: u32,
    /// Keep printing new events
    #[arg(long)]
    follow: bool,
}

impl Events {
    /// JSON is one object a line, so that it can be followed.
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let request = wire::EventsRequest {
            sites: self.part.site.iter().map(SiteCode::to_string).collect(),
            since: self.part.since.map(to_wire),
            until: self.part.until.map(to_wire),
            kinds: self.kind.clone(),
            last: self.last,
            follow: self.follow,
        };
        let look = global.look();
        runtime()?.block_on(async {
            let mut client = client(global).await?;
            let mut stream = client.events(request).await.map_err(|status| client::refused(&status))?.into_inner();
            while let Some(message) = stream.message().await.map_err(|status| client::refused(&status))? {
                let mut out = String::new();
                for event in message.events {
                    let stored = StoredEvent::try_from(event)
                        .map_err(|error| Failure::Collector(format!("the collector's answer is invalid: {error}")))?;
                    if global.is_json() {
                        out.push_str(&serde_json::to_string(&stored).map_err(Failure::own)?);
                        out.push('\n');
                    } else {
                        out.push_str(&events::line(&stored, look));
                    }
                }
                if !print_more(&out)? {
                    break;
                }
            }
            Ok(0)
        })
    }
}
