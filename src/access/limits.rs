//! How much one address, or one publisher, may use.
//!
//! Owns: connections and attempts to publish or play of each address, the rate of one stream. Does not know what is
//! refused by it, or how.
//!
//! An address without connections is forgotten as soon as its allowance is full again, and at most
//! [`IDLE_ADDRESSES`] are remembered for it, so memory is bounded by the number of connections and this.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::AccessLimits;

/// Addresses without a connection that are remembered, because they tried to begin within the last second. Where
/// there are more, the one that left first is forgotten.
pub const IDLE_ADDRESSES: usize = 16_384;

/// Stream time over which [`BandwidthLimit`] takes the average, in seconds.
pub const BANDWIDTH_WINDOW_S: u64 = 5;

/// Bits of an IPv6 address that one customer of a provider has at least for himself; the rest he can choose.
const IPV6_HOST_BITS: u32 = 64;

/// Which limit is reached: one line for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OverLimit {
    /// `limits.access.connections_per_ip`
    #[error("its address has as many connections as one may (limits.access.connections_per_ip)")]
    Connections,
    /// `limits.access.publishes_per_second_per_ip`
    #[error("its address tries to publish too often (limits.access.publishes_per_second_per_ip)")]
    PublishesOfAddress,
    /// `limits.access.publishes_per_second`
    #[error("too many try to publish (limits.access.publishes_per_second)")]
    Publishes,
    /// `limits.access.plays_per_second_per_ip`
    #[error("its address tries to play too often (limits.access.plays_per_second_per_ip)")]
    PlaysOfAddress,
    /// `limits.access.plays_per_second`
    #[error("too many try to play (limits.access.plays_per_second)")]
    Plays,
}

/// Counts what addresses use.
#[derive(Debug)]
pub struct AddressLimits {
    limits: AccessLimits,
    addresses: HashMap<IpAddr, Usage>,
    /// Addresses that may be forgotten, those that left first in front, each at most once.
    idle: VecDeque<IpAddr>,
    publishes: Bucket,
    plays: Bucket,
}

#[derive(Debug)]
struct Usage {
    connections: usize,
    publishes: Bucket,
    plays: Bucket,
    is_listed_idle: bool,
}

impl AddressLimits {
    /// Nobody has used anything yet.
    pub fn new(limits: AccessLimits) -> Self {
        let (publishes, plays) = (Bucket::default(), Bucket::default());
        AddressLimits { limits, addresses: HashMap::new(), idle: VecDeque::new(), publishes, plays }
    }

    /// From now on other limits hold; what is used stays counted.
    pub fn set_limits(&mut self, limits: AccessLimits) {
        self.limits = limits;
    }

    /// Counts one more connection of `peer`, to be taken back by [`AddressLimits::disconnect`].
    ///
    /// # Errors
    /// [`OverLimit::Connections`]: it is not counted.
    pub fn connect(&mut self, now: Instant, peer: IpAddr) -> Result<(), OverLimit> {
        self.forget_idle(now);
        let most = self.limits.connections_per_ip;
        let usage = self.addresses.entry(key_of(peer)).or_insert_with(Usage::new);
        if most > 0 && usage.connections >= most {
            return Err(OverLimit::Connections);
        }
        usage.connections += 1;
        Ok(())
    }

    /// One connection of `peer` that was counted is gone.
    pub fn disconnect(&mut self, now: Instant, peer: IpAddr) {
        let key = key_of(peer);
        if let Entry::Occupied(mut entry) = self.addresses.entry(key) {
            let usage = entry.get_mut();
            usage.connections = usage.connections.saturating_sub(1);
            if usage.connections == 0 && !usage.is_listed_idle {
                usage.is_listed_idle = true;
                self.idle.push_back(key);
            }
        }
        self.forget_idle(now);
    }

    /// Counts one attempt of `peer` to publish, before anything else is asked about it.
    ///
    /// # Errors
    /// The limit that it exceeds. An attempt that its own address may not make does not count for all together.
    pub fn publish(&mut self, now: Instant, peer: IpAddr) -> Result<(), OverLimit> {
        let AccessLimits { publishes_per_second_per_ip, publishes_per_second, .. } = self.limits;
        let usage = self.addresses.get_mut(&key_of(peer));
        // One that is not counted as connected cannot be remembered without a bound.
        if !usage.is_none_or(|usage| usage.publishes.take(now, publishes_per_second_per_ip)) {
            return Err(OverLimit::PublishesOfAddress);
        }
        if !self.publishes.take(now, publishes_per_second) {
            return Err(OverLimit::Publishes);
        }
        Ok(())
    }

    /// The same for an attempt to play.
    ///
    /// # Errors
    /// As [`AddressLimits::publish`].
    pub fn play(&mut self, now: Instant, peer: IpAddr) -> Result<(), OverLimit> {
        let AccessLimits { plays_per_second_per_ip, plays_per_second, .. } = self.limits;
        let usage = self.addresses.get_mut(&key_of(peer));
        if !usage.is_none_or(|usage| usage.plays.take(now, plays_per_second_per_ip)) {
            return Err(OverLimit::PlaysOfAddress);
        }
        if !self.plays.take(now, plays_per_second) {
            return Err(OverLimit::Plays);
        }
        Ok(())
    }

    /// Connections of `peer` that are counted now.
    pub fn connections(&self, peer: IpAddr) -> usize {
        self.addresses.get(&key_of(peer)).map_or(0, |usage| usage.connections)
    }

    /// Addresses of which something is remembered.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Forgets those at the front of the list that left and whose allowance is full, and those that are too many.
    fn forget_idle(&mut self, now: Instant) {
        let (publishes, plays) = (self.limits.publishes_per_second_per_ip, self.limits.plays_per_second_per_ip);
        while let Some(key) = self.idle.front().copied() {
            if let Some(usage) = self.addresses.get_mut(&key) {
                let is_full = usage.publishes.is_full(now, publishes) && usage.plays.is_full(now, plays);
                let is_due = usage.connections > 0 || is_full;
                if !is_due && self.idle.len() <= IDLE_ADDRESSES {
                    return;
                }
                usage.is_listed_idle = false;
                if usage.connections == 0 {
                    self.addresses.remove(&key);
                }
            }
            self.idle.pop_front();
        }
    }
}

impl Usage {
    fn new() -> Self {
        Usage { connections: 0, publishes: Bucket::default(), plays: Bucket::default(), is_listed_idle: false }
    }
}

/// IPv4 addresses as such, of IPv6 ones the network.
fn key_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() >> IPV6_HOST_BITS << IPV6_HOST_BITS;
            IpAddr::V6(network.into())
        }
        v4 => v4,
    }
}

/// An allowance that fills up within one second.
#[derive(Debug, Default)]
struct Bucket {
    /// What is missing in it, in millionths of one attempt, when it was last looked at. `None`: it is full.
    missing: Option<(u64, Instant)>,
}

const MILLION: u64 = 1_000_000;

impl Bucket {
    /// Takes one out of it; `false`: there is none. A `rate_s` of 0 is no limit.
    fn take(&mut self, now: Instant, rate_s: u32) -> bool {
        if rate_s == 0 {
            self.missing = None;
            return true;
        }
        let missing = self.missing(now, rate_s).saturating_add(MILLION);
        if missing > u64::from(rate_s).saturating_mul(MILLION) {
            return false;
        }
        self.missing = Some((missing, now));
        true
    }

    fn is_full(&self, now: Instant, rate_s: u32) -> bool {
        rate_s == 0 || self.missing(now, rate_s) == 0
    }

    fn missing(&self, now: Instant, rate_s: u32) -> u64 {
        let Some((missing, at)) = self.missing else { return 0 };
        let passed_us = u64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(u64::MAX);
        missing.saturating_sub(passed_us.saturating_mul(rate_s.into()))
    }
}

/// The rate of one stream, over a window that slides in steps.
#[derive(Debug)]
pub struct BandwidthLimit {
    /// Bytes that the whole window may have; 0: no limit.
    window_bytes: u64,
    /// Bytes of each step.
    steps: [u64; STEPS],
    /// Their sum.
    sum: u64,
    /// Begin of the step that bytes are added to now, and its place.
    step: Option<(Instant, usize)>,
}

const STEPS: usize = 10;
const STEP: Duration = Duration::from_millis(BANDWIDTH_WINDOW_S * 1_000 / STEPS as u64);

impl BandwidthLimit {
    /// `bytes_per_second` on the average of [`BANDWIDTH_WINDOW_S`], so a key frame may be larger; 0 is no limit.
    pub fn new(bytes_per_second: u64) -> Self {
        let window_bytes = bytes_per_second.saturating_mul(BANDWIDTH_WINDOW_S);
        BandwidthLimit { window_bytes, steps: [0; STEPS], sum: 0, step: None }
    }

    /// Counts `bytes`, and says whether the limit still holds with them.
    pub fn add(&mut self, now: Instant, bytes: usize) -> bool {
        if self.window_bytes == 0 {
            return true;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let place = self.slide(now);
        if let Some(step) = self.steps.get_mut(place) {
            *step = step.saturating_add(bytes);
            self.sum = self.sum.saturating_add(bytes);
        }
        self.sum <= self.window_bytes
    }

    /// Leaves the steps behind that are too old; the place of the present one.
    fn slide(&mut self, now: Instant) -> usize {
        let Some((mut begin, mut place)) = self.step else {
            self.step = Some((now, 0));
            return 0;
        };
        for _ in 0..STEPS {
            if now.saturating_duration_since(begin) < STEP {
                self.step = Some((begin, place));
                return place;
            }
            begin += STEP;
            place = (place + 1) % STEPS;
            if let Some(step) = self.steps.get_mut(place) {
                self.sum = self.sum.saturating_sub(std::mem::take(step));
            }
        }
        // Nothing of the window is left.
        self.step = Some((now, place));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AccessLimits {
        AccessLimits { connections_per_ip: 2, publishes_per_second_per_ip: 3, publishes_per_second: 5, ..none() }
    }

    fn none() -> AccessLimits {
        AccessLimits::default()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn numbered(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn connections_of_one_address_are_limited() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(limits());
        for _ in 0..2 {
            assert_eq!(usage.connect(now, ip("10.0.0.1")), Ok(()));
        }
        for same in ["10.0.0.1", "::ffff:10.0.0.1"] {
            assert_eq!(usage.connect(now, ip(same)), Err(OverLimit::Connections));
        }
        assert_eq!(usage.connect(now, ip("10.0.0.2")), Ok(()));
        usage.disconnect(now, ip("10.0.0.1"));
        assert_eq!(usage.connections(ip("10.0.0.1")), 1);
        assert_eq!(usage.connect(now, ip("10.0.0.1")), Ok(()));
    }

    #[test]
    fn ipv6_addresses_count_by_their_network() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(limits());
        assert_eq!(usage.connect(now, ip("2001:db8:0:1::1")), Ok(()));
        assert_eq!(usage.connect(now, ip("2001:db8:0:1:ffff::2")), Ok(()));
        assert_eq!(usage.connect(now, ip("2001:db8:0:1::3")), Err(OverLimit::Connections));
        assert_eq!(usage.connect(now, ip("2001:db8:0:2::1")), Ok(()));
    }

    #[test]
    fn attempts_to_publish_are_limited_by_address_and_together() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(limits());
        let (a, b) = (numbered(1), numbered(2));
        usage.connect(now, a).unwrap();
        usage.connect(now, b).unwrap();
        for _ in 0..3 {
            assert_eq!(usage.publish(now, a), Ok(()));
        }
        assert_eq!(usage.publish(now, a), Err(OverLimit::PublishesOfAddress));
        assert_eq!(usage.publish(now, b), Ok(()));
        assert_eq!(usage.publish(now, b), Ok(()));
        assert_eq!(usage.publish(now, b), Err(OverLimit::Publishes));
        // A third of a second brings one back to the address that may three.
        assert_eq!(usage.publish(now + ms(333), a), Err(OverLimit::PublishesOfAddress));
        assert_eq!(usage.publish(now + ms(334), a), Ok(()));
        assert_eq!(usage.publish(now + ms(334), a), Err(OverLimit::PublishesOfAddress));
        // However long it waits, no more than one second's worth is saved.
        for _ in 0..3 {
            assert_eq!(usage.publish(now + ms(3_600_000), a), Ok(()));
        }
        assert_eq!(usage.publish(now + ms(3_600_000), a), Err(OverLimit::PublishesOfAddress));
    }

    #[test]
    fn attempts_to_play_are_limited_by_address_and_together_and_do_not_count_as_publishing() {
        let now = Instant::now();
        let plays = AccessLimits { plays_per_second_per_ip: 3, plays_per_second: 5, ..limits() };
        let mut usage = AddressLimits::new(plays);
        let (a, b) = (numbered(1), numbered(2));
        usage.connect(now, a).unwrap();
        usage.connect(now, b).unwrap();
        for attempt in 0..4 {
            let expected = if attempt < 3 { Ok(()) } else { Err(OverLimit::PlaysOfAddress) };
            assert_eq!(usage.play(now, a), expected, "{attempt}");
        }
        assert_eq!([usage.play(now, b), usage.play(now, b)], [Ok(()), Ok(())]);
        assert_eq!(usage.play(now, b), Err(OverLimit::Plays));
        assert_eq!(usage.publish(now, a), Ok(()));
        assert_eq!(usage.play(now + ms(334), a), Ok(()));
        // It left, and is remembered until it may as often as at first.
        usage.disconnect(now + ms(334), a);
        assert_eq!(usage.len(), 2);
        usage.connect(now + ms(1_400), b).unwrap();
        assert_eq!(usage.len(), 1);
    }

    #[test]
    fn connecting_again_does_not_bring_a_fresh_allowance() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(limits());
        let peer = numbered(1);
        for attempt in 0..4 {
            usage.connect(now, peer).unwrap();
            assert_eq!(usage.publish(now, peer).is_ok(), attempt < 3, "{attempt}");
            usage.disconnect(now, peer);
        }
    }

    #[test]
    fn without_limits_nothing_is_refused_and_still_counted() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(none());
        let peer = numbered(1);
        for _ in 0..10_000 {
            assert_eq!((usage.connect(now, peer), usage.publish(now, peer)), (Ok(()), Ok(())));
        }
        // A limit that is set later holds for those that are there.
        usage.set_limits(limits());
        assert_eq!(usage.connect(now, peer), Err(OverLimit::Connections));
        for _ in 0..10_000 {
            usage.disconnect(now, peer);
        }
        assert!(usage.is_empty());
        usage.disconnect(now, peer);
    }

    #[test]
    fn addresses_that_left_are_forgotten() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(limits());
        usage.connect(now, numbered(1)).unwrap();
        usage.disconnect(now, numbered(1));
        assert!(usage.is_empty(), "one that never published left nothing");

        usage.connect(now, numbered(1)).unwrap();
        usage.publish(now, numbered(1)).unwrap();
        usage.disconnect(now, numbered(1));
        assert_eq!(usage.len(), 1);
        usage.connect(now + ms(1_000), numbered(2)).unwrap();
        assert_eq!((usage.len(), usage.idle.len()), (1, 0));
    }

    #[test]
    fn a_crowd_of_addresses_takes_bounded_memory() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(AccessLimits { publishes_per_second: 0, ..limits() });
        for number in 0..100_000 {
            usage.connect(now, numbered(number)).unwrap();
            usage.publish(now, numbered(number)).unwrap();
            usage.disconnect(now, numbered(number));
            assert!(usage.len() <= IDLE_ADDRESSES + 1 && usage.idle.len() <= IDLE_ADDRESSES + 1);
        }
        // One that comes and goes all the time stands in the list once.
        for _ in 0..100_000 {
            usage.connect(now, numbered(1)).unwrap();
            usage.disconnect(now, numbered(1));
        }
        assert!(usage.idle.len() <= IDLE_ADDRESSES + 1);
    }

    #[test]
    fn one_that_came_back_is_not_forgotten_when_its_turn_comes() {
        let now = Instant::now();
        let mut usage = AddressLimits::new(limits());
        let peer = numbered(1);
        usage.connect(now, peer).unwrap();
        usage.publish(now, peer).unwrap();
        usage.disconnect(now, peer);
        usage.connect(now, peer).unwrap();
        usage.connect(now + ms(5_000), numbered(2)).unwrap();
        assert_eq!(usage.connections(peer), 1);
        usage.disconnect(now + ms(5_000), peer);
        assert_eq!(usage.connections(peer), 0);
        assert_eq!(usage.len(), 1);
    }

    #[test]
    fn a_stream_may_have_its_rate_on_the_average() {
        let now = Instant::now();
        let mut limit = BandwidthLimit::new(1_000);
        for second in 0..60 {
            assert!(limit.add(now + ms(second * 1_000), 1_000), "{second}");
        }
        let mut limit = BandwidthLimit::new(1_000);
        assert!(limit.add(now, 5_000), "a burst of the whole window");
        assert!(!limit.add(now + ms(4_999), 1));
        assert!(limit.add(now + ms(5_500), 4_999));
        assert!(limit.add(now + ms(3_600_000), 5_000), "after a long silence the window is empty");
        assert!(!limit.add(now + ms(3_600_000), 1));
    }

    #[test]
    fn a_stream_that_is_too_fast_for_long_is_seen() {
        let now = Instant::now();
        let mut limit = BandwidthLimit::new(1_000);
        let first = (0..).find(|step| !limit.add(now + ms(step * 100), 110)).unwrap();
        assert!((45..=50).contains(&first), "{first}");
        assert!(BandwidthLimit::new(0).add(now, usize::MAX));
        assert!(!BandwidthLimit::new(u64::MAX / 10).add(now, usize::MAX));
    }
}
