//! Waves ⇄ their messages.

use jiff::SignedDuration;
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Text;
use supwatch_model::wave::{EdgeOutcome, Wave, WaveEdge, WaveOutcome};

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError, known};

impl From<WaveEdge> for wire::WaveEdge {
    fn from(edge: WaveEdge) -> wire::WaveEdge {
        let WaveEdge {
            parent,
            child,
            notified_at,
            received_at,
            started_at,
            ended_at,
            outcome,
            lag,
            runs,
            catalog_version,
            cause,
            inferred,
            note,
        } = edge;
        wire::WaveEdge {
            parent: parent.to_string(),
            child: child.to_string(),
            notified_at: notified_at.map(to_wire),
            received_at: received_at.map(to_wire),
            started_at: started_at.map(to_wire),
            ended_at: ended_at.map(to_wire),
            outcome: outcome.as_str().to_owned(),
            lag_seconds: lag.map(|lag| lag.as_secs_f64()),
            runs,
            catalog_version,
            cause: cause.unwrap_or_default(),
            inferred,
            note: note.map(wire::Text::from),
        }
    }
}

fn code(field: &'static str, text: &str) -> Result<SiteCode, WireError> {
    text.parse().map_err(|error| WireError::invalid(field, text, error))
}

impl TryFrom<wire::WaveEdge> for WaveEdge {
    type Error = WireError;

    fn try_from(message: wire::WaveEdge) -> Result<WaveEdge, WireError> {
        let wire::WaveEdge {
            parent,
            child,
            notified_at,
            received_at,
            started_at,
            ended_at,
            outcome,
            lag_seconds,
            runs,
            catalog_version,
            cause,
            inferred,
            note,
        } = message;
        Ok(WaveEdge {
            parent: code("parent", &parent)?,
            child: code("child", &child)?,
            notified_at: from_wire(notified_at),
            received_at: from_wire(received_at),
            started_at: from_wire(started_at),
            ended_at: from_wire(ended_at),
            outcome: EdgeOutcome::from_word(&outcome).unwrap_or(EdgeOutcome::Unknown),
            lag: lag_seconds.and_then(|lag| SignedDuration::try_from_secs_f64(lag).ok()),
            runs,
            catalog_version,
            cause: known(cause),
            inferred,
            note: note.map(Text::from),
        })
    }
}

impl From<Wave> for wire::Wave {
    fn from(wave: Wave) -> wire::Wave {
        let Wave { id, top, started_at, ended_at, catalog_version, edges, outcome, broken_at, cause } = wave;
        wire::Wave {
            id,
            top: top.to_string(),
            started_at: started_at.map(to_wire),
            ended_at: ended_at.map(to_wire),
            catalog_version,
            edges: edges.into_iter().map(wire::WaveEdge::from).collect(),
            outcome: outcome.as_str().to_owned(),
            broken_parent: broken_at.map(|(parent, _)| parent.to_string()).unwrap_or_default(),
            broken_child: broken_at.map(|(_, child)| child.to_string()).unwrap_or_default(),
            cause: cause.unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::Wave> for Wave {
    type Error = WireError;

    fn try_from(message: wire::Wave) -> Result<Wave, WireError> {
        let wire::Wave { id, top, started_at, ended_at, catalog_version, edges, outcome, broken_parent, broken_child, cause } =
            message;
        let broken_at = match (known(broken_parent), known(broken_child)) {
            (Some(parent), Some(child)) => Some((code("broken_parent", &parent)?, code("broken_child", &child)?)),
            _ => None,
        };
        Ok(Wave {
            id,
            top: code("top", &top)?,
            started_at: from_wire(started_at),
            ended_at: from_wire(ended_at),
            catalog_version,
            edges: edges.into_iter().map(WaveEdge::try_from).collect::<Result<_, _>>()?,
            outcome: WaveOutcome::from_word(&outcome).unwrap_or(WaveOutcome::Unknown),
            broken_at,
            cause: known(cause),
        })
    }
}
