//! Requests for what does not exist yet.
//!
//! Owns: who waits for what and until when. Does not know how an answer looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::request::{Query, Resource};
use super::window::Window;

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) resource: Resource,
    pub(super) query: Query,
    until: Instant,
}

impl Request {
    pub(super) fn new(resource: Resource, query: Query, until: Instant) -> Request {
        Request { resource, query, until }
    }

    /// Whether waiting longer makes no difference.
    pub(super) fn is_answerable(&self, window: &Window) -> bool {
        match self.resource {
            // Nobody can play a playlist without a segment, and hls.js gives up on one.
            Resource::Multivariant | Resource::Media if window.listed().is_empty() => window.is_ended,
            Resource::Media => window.is_ended || self.query.wanted.is_none_or(|wanted| exists(window, wanted)),
            Resource::Part(msn, index) => {
                window.is_ended || window.part(msn, index).is_some() || msn != window.open_msn()
            }
            Resource::Multivariant | Resource::Init(_) | Resource::Segment(_) => true,
        }
    }
}

/// Whether the playlist holds what was asked for, or something later (RFC 8216bis, 6.2.5.2).
fn exists(window: &Window, wanted: super::request::Wanted) -> bool {
    let open = window.open_msn();
    match wanted.part {
        None => wanted.msn < open,
        Some(part) if wanted.msn == open => window.open_parts() as u64 > part,
        Some(part) if wanted.msn < open => {
            let parts = window.whole(wanted.msn).map_or(usize::MAX, |segment| segment.parts.len()) as u64;
            // Behind the last part of a segment comes the first one of the next.
            part < parts || open > wanted.msn + 1 || window.open_parts() > 0
        }
        Some(_) => false,
    }
}

/// All requests that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: BTreeMap<u64, Request>,
    deadlines: BTreeSet<(Instant, u64)>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn insert(&mut self, ticket: u64, request: Request) {
        self.deadlines.insert((request.until, ticket));
        if let Some(old) = self.requests.insert(ticket, request) {
            self.deadlines.remove(&(old.until, ticket));
            if let Some(new) = self.requests.get(&ticket) {
                self.deadlines.insert((new.until, ticket));
            }
        }
    }

    pub(super) fn remove(&mut self, ticket: u64) {
        if let Some(request) = self.requests.remove(&ticket) {
            self.deadlines.remove(&(request.until, ticket));
        }
    }

    /// Takes those out that can be answered now.
    pub(super) fn take_answerable(&mut self, window: &Window) -> Vec<(u64, Request)> {
        let answerable = self.requests.iter().filter(|(_, request)| request.is_answerable(window));
        let tickets: Vec<u64> = answerable.map(|(ticket, _)| *ticket).collect();
        let taken: Vec<_> = tickets.iter().filter_map(|ticket| self.requests.remove_entry(ticket)).collect();
        for (ticket, request) in &taken {
            self.deadlines.remove(&(request.until, *ticket));
        }
        taken
    }

    /// Takes one out that waited too long.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<(u64, Request)> {
        let &(until, ticket) = self.deadlines.first()?;
        if until > now {
            return None;
        }
        self.deadlines.pop_first();
        self.requests.remove_entry(&ticket)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(until, _)| *until)
    }
}
