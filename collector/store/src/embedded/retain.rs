//! Retention: drops days that are too old, and the oldest ones while the store is too large. The newest event of each kind in
//! each file is carried over, so that the last known state of a site survives a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use supwatch_durable::{Batch, Durable, DurableError};
use supwatch_model::event::StoredEvent;

use super::Embedded;
use super::block::Block;
use super::days::{Day, number};
use super::keys::{self, check_version};
use super::writer::Request;
use crate::{Retention, StoreError, StoreSize};

/// Most blocks from before daily segments dropped at a time.
const BLOCKS: usize = 256;

/// Every event that was carried over, in order of arrival.
pub(super) fn carried(state: &Durable) -> Result<Vec<StoredEvent>, StoreError> {
    let mut all = Vec::new();
    for entry in state.scan(b"K", b"K") {
        let (_, version, value) = entry?;
        check_version(version)?;
        all.extend(Block::read(&value, 0)?);
    }
    all.sort_by(|a: &StoredEvent, b| (a.received_at, &a.agent, a.event.sequence).cmp(&(b.received_at, &b.agent, b.event.sequence)));
    Ok(all)
}

/// Applies the retention policy; returns the size of the store afterwards.
pub(super) async fn expire(store: &Embedded, now: Timestamp, retention: Retention) -> Result<StoreSize, StoreError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut dropped_days = 0;
    loop {
        let sizes = store.days.sizes();
        let size = size(&sizes, store.state.disk_bytes());
        // The last day is being written.
        let oldest = if sizes.len() > 1 { sizes.first().map(|(day, _)| day.clone()) } else { None };
        let dates: Vec<Date> = sizes.iter().map(|(day, _)| day.date).collect();
        let Some(day) = oldest.filter(|_| is_too_old(&dates, today, retention.days) || size.bytes > retention.bytes) else {
            expire_first_form(store, today, retention).await?;
            return Ok(StoreSize { dropped_days, ..size });
        };
        carry_on(store, &day).await?;
        store.days.remove(&day)?;
        dropped_days += 1;
        tracing::info!(day = %day.date, "daily segment dropped by retention");
    }
}

/// The size of a store from its days and the bytes of its state.
pub(super) fn size(days: &[(Day, u64)], state_bytes: u64) -> StoreSize {
    StoreSize {
        bytes: days.iter().map(|(_, bytes)| bytes).sum::<u64>() + state_bytes,
        days: days.len() as u64,
        events: days.iter().filter_map(|(day, _)| day.extent).map(|extent| extent.events).sum(),
        oldest: days.first().map(|(day, _)| day.date),
        dropped_days: 0,
    }
}

fn days_between(date: Date, today: Date) -> i64 {
    i64::from(today.since(date).map(|span| span.get_days()).unwrap_or(0))
}

/// Whether the oldest day ended that long ago. A day dated in the future was started while the clock was wrong: the next one
/// counts instead.
fn is_too_old(dates: &[Date], today: Date, days: u32) -> bool {
    let mut dates = dates.iter().copied();
    let date = dates.next().filter(|date| *date <= today).or_else(|| dates.next());
    date.is_some_and(|date| days_between(date, today) > i64::from(days))
}

/// Carries over the newest event of each kind of a day.
async fn carry_on(store: &Embedded, day: &Day) -> Result<(), StoreError> {
    let (days, day) = (Arc::clone(&store.days), day.clone());
    let read = move || {
        let mut newest: BTreeMap<Vec<u8>, StoredEvent> = BTreeMap::new();
        let Some((db, extent)) = days.open(&day)? else { return Ok(newest) };
        for place in 0..extent.blocks {
            let number = number(day.ordinal, place);
            // A damaged block cannot be carried over either; if nothing can be read, nothing is dropped.
            let value = match db.get(&keys::block(number)) {
                Ok(Some((_, value))) => value,
                Ok(None) | Err(DurableError::Corrupt(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let events = Block::read(&value, number).unwrap_or_default();
            newest.extend(events.into_iter().map(|stored| (keys::carried(&stored), stored)));
        }
        Ok::<_, StoreError>(newest)
    };
    let newest = tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closed)??;
    let mut events: Vec<StoredEvent> = newest.into_values().collect();
    while !events.is_empty() {
        let rest = events.split_off(events.len().min(BLOCKS));
        store.ask(|reply| Request::Carry { events, reply }).await?;
        events = rest;
    }
    Ok(())
}

/// Events from before daily segments expire by their arrival. sled keeps their space and reuses it.
async fn expire_first_form(store: &Embedded, today: Date, retention: Retention) -> Result<(), StoreError> {
    loop {
        let state = Arc::clone(&store.state);
        let some = move || {
            let (mut keys, mut events) = (Vec::new(), Vec::new());
            for entry in state.scan(b"E", b"E").take(BLOCKS) {
                let (key, _, value) = entry?;
                let block = Block::read(&value, keys::number_of(&key)?)?;
                let came = block.first().map(|stored| stored.received_at.to_zoned(TimeZone::UTC).date());
                if came.is_some_and(|date| days_between(date, today) <= i64::from(retention.days)) {
                    break;
                }
                keys.push(key);
                events.extend(block);
            }
            Ok::<_, StoreError>((keys, events))
        };
        let (keys, events) = tokio::task::spawn_blocking(some).await.map_err(|_| StoreError::Closed)??;
        if keys.is_empty() {
            return Ok(());
        }
        let newest: BTreeMap<Vec<u8>, StoredEvent> = events.into_iter().map(|stored| (keys::carried(&stored), stored)).collect();
        store.ask(|reply| Request::Carry { events: newest.into_values().collect(), reply }).await?;
        let mut batch = Batch::new();
        keys.iter().for_each(|key| batch.remove(key));
        store.state.apply(batch)?;
    }
}
