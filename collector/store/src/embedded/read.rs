//! Reads events in order of arrival, forwards and backwards, a bounded number of blocks at a time.
//!
//! An unreadable block is skipped, counted and reported, so that damage costs only that block.

use std::sync::Arc;

use prost::Message;
use supwatch_durable::Durable;
use supwatch_model::event::StoredEvent;

use super::block::{Block, Summary, within};
use super::days::{Day, Days, Extent, number, parts};
use super::keys::{self, check_version};
use crate::{Cursor, EventQuery, PAGE_BLOCKS, Page, StoreError};

/// Most summaries scanned for one page.
const PAGE_SUMMARIES: usize = 4_096;

/// A day, or the events from before daily segments.
struct Part {
    ordinal: u32,
    db: Arc<Durable>,
    extent: Extent,
    /// Whether each block has a summary.
    summed: bool,
}

/// Remaining scan budget of one page.
struct Budget {
    blocks: usize,
    summaries: usize,
}

impl Budget {
    fn new() -> Budget {
        Budget { blocks: PAGE_BLOCKS, summaries: PAGE_SUMMARIES }
    }

    fn is_spent(&self) -> bool {
        self.blocks == 0 || self.summaries == 0
    }
}

/// Existing ordinals, oldest first; 0 stands for what was stored before daily segments.
fn ordinals(days: &Days) -> Vec<(u32, Option<Day>)> {
    std::iter::once((0, None)).chain(days.list().into_iter().map(|day| (day.ordinal, Some(day)))).collect()
}

fn open(state: &Arc<Durable>, days: &Days, ordinal: u32, day: Option<&Day>) -> Result<Option<Part>, StoreError> {
    let Some(day) = day else {
        let last = state.last_until(&keys::block(u64::MAX), b"E")?;
        let blocks = last.map(|(key, ..)| keys::number_of(&key)).transpose()?.map_or(0, |last| last + 1);
        let extent = Extent { blocks, ..Extent::default() };
        return Ok(Some(Part { ordinal, db: Arc::clone(state), extent, summed: false }));
    };
    let opened = days.open(day)?;
    Ok(opened.map(|(db, extent)| Part { ordinal, db, extent, summed: true }))
}

/// Whether no event of a day can match, judged by the extent, so that the day is not even opened.
fn is_beside(day: Option<&Day>, query: &EventQuery) -> bool {
    let extent = day.and_then(|day| day.extent);
    extent.is_some_and(|extent| extent.blocks == 0 || !within(extent.from_ms, extent.until_ms, query))
}

/// Events after a cursor.
pub(super) fn forward(state: &Arc<Durable>, days: &Days, query: &EventQuery, after: Cursor) -> Result<Page, StoreError> {
    let (from, first_place) = parts(after.block);
    let mut page = Page { next: after, end: true, ..Page::default() };
    let mut budget = Budget::new();
    for (ordinal, day) in ordinals(days).into_iter().filter(|(ordinal, _)| *ordinal >= from) {
        let begin = if ordinal == from { first_place } else { 0 };
        if is_beside(day.as_ref(), query) {
            let blocks = day.and_then(|day| day.extent).map_or(0, |extent| extent.blocks);
            page.next = Cursor { block: number(ordinal, blocks.max(begin)), index: 0 };
            continue;
        }
        let Some(part) = open(state, days, ordinal, day.as_ref())? else { continue };
        for place in begin..part.extent.blocks {
            if budget.is_spent() {
                page.end = false;
                return Ok(page);
            }
            let this = number(ordinal, place);
            let seen = if this == after.block { after.index } else { 0 };
            let events = part.block(place, query, &mut budget, &mut page.damaged);
            page.events.extend(events.into_iter().skip(seen).filter(|stored| query.matches(stored)));
            page.next = Cursor { block: this + 1, index: 0 };
        }
    }
    Ok(page)
}

/// The cursor after everything.
pub(super) fn end(state: &Arc<Durable>, days: &Days) -> Result<Cursor, StoreError> {
    for (ordinal, day) in ordinals(days).into_iter().rev() {
        if let Some(part) = open(state, days, ordinal, day.as_ref())? {
            return Ok(Cursor { block: number(ordinal, part.extent.blocks), index: 0 });
        }
    }
    Ok(Cursor::default())
}

/// Events before a cursor, or before the end, in order of arrival. `next` is where the page begins.
pub(super) fn back(state: &Arc<Durable>, days: &Days, query: &EventQuery, before: Option<Cursor>) -> Result<Page, StoreError> {
    let bound = before.map(|before| parts(before.block));
    let mut page = Page { next: before.unwrap_or_default(), end: true, ..Page::default() };
    let (mut budget, mut found): (Budget, Vec<Vec<StoredEvent>>) = (Budget::new(), Vec::new());
    'days: for (ordinal, day) in ordinals(days).into_iter().rev() {
        if bound.is_some_and(|(last, _)| ordinal > last) || is_beside(day.as_ref(), query) {
            continue;
        }
        let Some(part) = open(state, days, ordinal, day.as_ref())? else { continue };
        let end = match bound {
            Some((last, place)) if last == ordinal => place.min(part.extent.blocks),
            _ => part.extent.blocks,
        };
        for place in (0..end).rev() {
            if budget.is_spent() {
                page.end = false;
                break 'days;
            }
            let events = part.block(place, query, &mut budget, &mut page.damaged);
            found.push(events.into_iter().filter(|stored| query.matches(stored)).collect());
            page.next = Cursor { block: number(ordinal, place), index: 0 };
        }
    }
    page.events = found.into_iter().rev().flatten().collect();
    Ok(page)
}

impl Part {
    /// The events of a block that match.
    fn block(&self, place: u64, query: &EventQuery, budget: &mut Budget, damaged: &mut u64) -> Vec<StoredEvent> {
        budget.summaries -= 1;
        match self.read(place, query, budget) {
            Ok(events) => events,
            Err(error) => {
                *damaged += 1;
                tracing::warn!(%error, day = %self.db.dir().display(), "unreadable block skipped");
                Vec::new()
            }
        }
    }

    fn read(&self, place: u64, query: &EventQuery, budget: &mut Budget) -> Result<Vec<StoredEvent>, StoreError> {
        let number = number(self.ordinal, place);
        if self.summed
            && let Some((version, value)) = self.db.get(&keys::summary(number))?
        {
            check_version(version)?;
            // An unreadable summary excludes nothing.
            if Summary::decode(value.as_slice()).is_ok_and(|summary| !summary.may_hold(query)) {
                return Ok(Vec::new());
            }
        }
        budget.blocks = budget.blocks.saturating_sub(1);
        match self.db.get(&keys::block(number))? {
            Some((version, value)) => {
                check_version(version)?;
                Block::read(&value, number)
            }
            // Expired, from before daily segments.
            None if !self.summed => Ok(Vec::new()),
            None => Err(StoreError::Content(format!("block {number}"))),
        }
    }
}
