//! `supwatch wave [ID]`: how far a synchronisation of the top site got, edge by edge; from the collector, or from folders.

use std::path::PathBuf;

use jiff::Timestamp;
use supwatch_model::wave::Wave as WaveType;
use supwatch_proto::time::to_wire;
use supwatch_proto::wire;

use super::client::{client, refused};
use super::{Failure, Global, Outcome, print, print_json, runtime};
use crate::show::render::{json, wave};
use supwatch_judgement::waves::Waves;

#[derive(Debug, clap::Args)]
pub(super) struct Wave {
    /// Id of the wave, such as CEN-20260301T040000Z; by default the newest
    id: Option<String>,
    /// List this many of the newest waves
    #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "10", conflicts_with = "id")]
    list: Option<u32>,
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Site folders, logs or a zip to read instead of asking the collector
    #[arg(long, value_name = "PATH", num_args = 1..)]
    read: Vec<PathBuf>,
}

impl Wave {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let last = self.list.unwrap_or(1).max(1);
        let (waves, now) = if self.read.is_empty() { self.ask(global, last)? } else { self.offline(global, last)? };
        if let (Some(id), true) = (&self.id, waves.is_empty()) {
            return Err(Failure::Own(format!(
                "there is no wave {id}; a wave has the id of its top site's run: `supwatch wave --list`"
            )));
        }
        let look = global.look();
        if global.is_json() {
            let lang = global.lang();
            let list: Vec<_> = waves.iter().map(|wave| json::wave(wave, lang)).collect();
            print_json(&serde_json::json!({"schema": "supwatch/waves/v1", "waves": list}))?;
        } else if self.list.is_some() {
            print(&wave::list(&waves, look))?;
        } else if let Some(newest) = waves.first() {
            print(&wave::draw(newest, now, look))?;
        } else {
            print(look.say(
                "no wave yet: no run of a top site is known\n",
                "まだ同期がありません。最上位サイトの同期の記録がありません\n",
            ))?;
        }
        Ok(0)
    }

    fn offline(&self, global: &Global, last: u32) -> Result<(Vec<WaveType>, Timestamp), Failure> {
        let analysis = crate::analyze::analyze(&self.read, self.at, crate::app::now(), global.catalogue()?)
            .and_then(crate::analyze::Analysis::with_substance)
            .map_err(Failure::own)?;
        let past = analysis.hierarchy.as_of(analysis.judged_at);
        let waves = Waves::new(&past, &analysis.limits, analysis.judged_at);
        let found = match &self.id {
            Some(id) => waves.get(id).into_iter().collect(),
            None => waves.newest(last as usize),
        };
        Ok((found, analysis.judged_at))
    }

    fn ask(&self, global: &Global, last: u32) -> Result<(Vec<WaveType>, Timestamp), Failure> {
        let request = wire::WavesRequest { at: self.at.map(to_wire), id: self.id.clone().unwrap_or_default(), last };
        let answer = runtime()?.block_on(async {
            let mut client = client(global).await?;
            client.waves(request).await.map_err(|status| refused(&status))
        })?;
        let waves = answer.into_inner().waves.into_iter().map(WaveType::try_from).collect::<Result<Vec<_>, _>>();
        let waves = waves.map_err(|error| Failure::Collector(format!("the collector's answer is invalid: {error}")))?;
        Ok((waves, self.at.unwrap_or_else(crate::app::now)))
    }
}
